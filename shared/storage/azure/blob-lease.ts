import { type AppendBlobClient, RestError } from '@azure/storage-blob';
import { storageRefusalOf } from './storage-errors.ts';
import type { BlobLease } from '../blob-container.ts';
import { describeError } from '../../telemetry/describe-error.ts';
import type { Telemetry } from '../../telemetry/telemetry.ts';

const JOURNAL_TYPE = { blobHTTPHeaders: { blobContentType: 'application/x-ndjson' } } as const;

interface BlobLeaseDependencies {
  /** Makes one storage call with a timeout; throws ServiceErrors. */
  readonly call: <T>(send: (abortSignal: AbortSignal) => Promise<T>) => Promise<T>;
  readonly telemetry: Telemetry;
  readonly renewEveryMs?: number | undefined;
  /** Creates the blob if it does not exist. */
  readonly mayCreate: boolean;
}

/** Acquires the lease of a blob, which is the exclusive right to append to it, and renews it. */
export async function acquireBlobLease(
  blob: AppendBlobClient,
  { call, telemetry, renewEveryMs, mayCreate }: BlobLeaseDependencies,
): Promise<BlobLease | 'busy' | 'missing'> {
  const client = blob.getBlobLeaseClient();
  const requestedAt = performance.now();
  const acquired = await call((abortSignal) => acquire(blob, { client, abortSignal, mayCreate }));
  if (acquired !== 'acquired') return acquired;
  const lease = renewLease(client, {
    requestedAt,
    telemetry: telemetry.with({ blob: blob.name }),
    renewEveryMs,
  });
  try {
    const conditions = { leaseId: lease.leaseId };
    const found = await call((abortSignal) => blob.getProperties({ conditions, abortSignal }));
    return {
      bytes: found.contentLength ?? 0,
      appends: found.blobCommittedBlockCount ?? 0,
      metadata: found.metadata ?? {},
      ...leaseOperations(blob, { call, lease }),
    };
  } catch (error) {
    await releaseLease({ call, lease });
    throw error;
  }
}

interface OperationsOptions extends Pick<BlobLeaseDependencies, 'call'> {
  readonly lease: RenewedLease;
}

/** Releasing is best effort: it must not delay the end of a job. */
async function releaseLease({ call, lease }: OperationsOptions): Promise<void> {
  await call(() => lease.release()).catch(() => undefined);
}

function leaseOperations(
  blob: AppendBlobClient,
  { call, lease }: OperationsOptions,
): Omit<BlobLease, 'bytes' | 'appends' | 'metadata'> {
  const { leaseId, lostSignal } = lease;
  const conditions = { leaseId };
  /** Every refusal that names the lease ends it. */
  async function callWithLease<T>(send: (abortSignal: AbortSignal) => Promise<T>): Promise<T> {
    try {
      return await call(send);
    } catch (error) {
      if (storageRefusalOf(error) === 'lease') lease.lose(describeError(error));
      throw error;
    }
  }
  return {
    lostSignal,
    async append(lines, position) {
      try {
        await callWithLease((abortSignal) =>
          appendOnce(blob, { lines, position, leaseId, abortSignal }),
        );
        return 'appended';
      } catch (error) {
        if (storageRefusalOf(error) === 'full') return 'full';
        throw error;
      }
    },
    restart: async (metadata) =>
      void (await callWithLease((abortSignal) =>
        blob.create({ ...JOURNAL_TYPE, metadata: { ...metadata }, conditions, abortSignal }),
      )),
    setMetadata: async (metadata) =>
      void (await callWithLease((abortSignal) =>
        blob.setMetadata({ ...metadata }, { conditions, abortSignal }),
      )),
    async remove() {
      await callWithLease((abortSignal) => blob.delete({ conditions, abortSignal }));
      await lease.release();
    },
    release: () => releaseLease({ call, lease }),
  };
}

interface AcquireOptions {
  readonly client: ReturnType<AppendBlobClient['getBlobLeaseClient']>;
  readonly abortSignal: AbortSignal;
  readonly mayCreate: boolean;
}

async function acquire(
  blob: AppendBlobClient,
  { client, abortSignal, mayCreate }: AcquireOptions,
): Promise<'acquired' | 'busy' | 'missing'> {
  try {
    // A redelivery finds the blob, so only a new one costs the request that creates it.
    if (await acquireExisting({ client, abortSignal })) return 'acquired';
    if (!mayCreate) return 'missing';
    await blob.createIfNotExists({ ...JOURNAL_TYPE, abortSignal });
    await client.acquireLease(LEASE_SECONDS, { abortSignal });
    return 'acquired';
  } catch (error) {
    const refusal = storageRefusalOf(error);
    // Conflict: another delivery has just created the blob and has its lease.
    if (refusal === 'lease' || refusal === 'conflict') return 'busy';
    throw error;
  }
}

async function acquireExisting({
  client,
  abortSignal,
}: Omit<AcquireOptions, 'mayCreate'>): Promise<boolean> {
  try {
    await client.acquireLease(LEASE_SECONDS, { abortSignal });
    return true;
  } catch (error) {
    if (storageRefusalOf(error) === 'gone') return false;
    throw error;
  }
}

/** Creates a blob with its first lines; resolves to false if it exists. */
export async function createAppendBlob(
  blob: AppendBlobClient,
  { lines, call }: Pick<BlobLeaseDependencies, 'call'> & { readonly lines: string },
): Promise<boolean> {
  const { succeeded } = await call((abortSignal) =>
    blob.createIfNotExists({ ...JOURNAL_TYPE, abortSignal }),
  );
  if (!succeeded) return false;
  await call((abortSignal) => appendOnce(blob, { lines, position: 0, abortSignal }));
  return true;
}

/** The shortest lease that Azure Storage grants: after a crash the next delivery waits this long. */
export const LEASE_SECONDS = 15;
/** Two renewals may fail before the lease ends. */
const RENEW_EVERY_MS = 4_000;

/** A lease that is renewed in the background. */
export interface RenewedLease {
  readonly leaseId: string;
  /** Aborts when another process may have the lease. */
  readonly lostSignal: AbortSignal;
  /** Marks the lease as lost, because storage refused a request that needs it. */
  lose(cause: string): void;
  /** Never rejects: a lease that cannot be released expires by itself. */
  release(): Promise<void>;
}

export interface RenewalOptions {
  /** Monotonic time in ms when the lease was requested: the earliest time it can have begun. */
  readonly requestedAt: number;
  readonly telemetry: Telemetry;
  readonly renewEveryMs?: number | undefined;
}

/** The part of the storage library's lease client that is used here. */
export interface LeaseClient {
  readonly leaseId: string;
  renewLease(options: { readonly abortSignal: AbortSignal }): Promise<unknown>;
  releaseLease(): Promise<unknown>;
}

/** Renews an acquired lease until it is released or lost. */
export function renewLease(client: LeaseClient, options: RenewalOptions): RenewedLease {
  const { telemetry, renewEveryMs = RENEW_EVERY_MS } = options;
  const ended = new AbortController();
  const lostController = new AbortController();
  let renewal: NodeJS.Timeout;
  let expiry: NodeJS.Timeout | undefined;

  /** Renewals run one after the other, so a slow one is not overtaken by the next. */
  function scheduleRenewal(): void {
    renewal = setTimeout(() => void renew(), renewEveryMs);
  }

  function extendFrom(time: number): void {
    clearTimeout(expiry);
    const leftMs = time + LEASE_SECONDS * 1_000 - performance.now();
    expiry = setTimeout(() => lose('no renewal succeeded in time'), leftMs);
  }

  async function renew(): Promise<void> {
    const requestedAt = performance.now();
    try {
      await client.renewLease({ abortSignal: ended.signal });
      if (!ended.signal.aborted) extendFrom(requestedAt);
    } catch (error) {
      if (isRefusal(error)) lose(describeError(error));
    }
    if (!ended.signal.aborted) scheduleRenewal();
  }

  function lose(cause: string): void {
    if (ended.signal.aborted) return;
    end();
    telemetry.warn('shard lease lost', { cause });
    lostController.abort(new Error('The lease of the shard was lost'));
  }

  function end(): void {
    clearTimeout(renewal);
    clearTimeout(expiry);
    ended.abort();
  }

  extendFrom(options.requestedAt);
  scheduleRenewal();
  return {
    leaseId: client.leaseId,
    lostSignal: lostController.signal,
    lose,
    async release() {
      end();
      if (!lostController.signal.aborted) await client.releaseLease().catch(() => undefined);
    },
  };
}

/** Storage answered that the lease or its blob is gone; any other failure may be transient. */
function isRefusal(error: unknown): boolean {
  return ['lease', 'gone', 'conflict'].includes(storageRefusalOf(error) ?? '');
}

interface AppendRequest {
  readonly lines: string;
  /** The length that the blob must have before the append. */
  readonly position: number;
  /** Undefined for a new blob: no other process knows its name. */
  readonly leaseId?: string | undefined;
  readonly abortSignal: AbortSignal;
}

/**
 * Appends at a known position, so a repeat after a lost response cannot write the lines twice: the
 * repeat is refused, and the length shows that the first request succeeded. The length is read
 * under the lease, so no other process can have written in between.
 */
export async function appendOnce(
  blob: AppendBlobClient,
  { lines, position, leaseId, abortSignal }: AppendRequest,
): Promise<void> {
  const length = Buffer.byteLength(lines);
  try {
    const conditions = { ...leaseCondition(leaseId), appendPosition: position };
    await blob.appendBlock(lines, length, { conditions, abortSignal });
  } catch (error) {
    if (!(error instanceof RestError) || error.code !== 'AppendPositionConditionNotMet')
      throw error;
    const conditions = leaseCondition(leaseId);
    const { contentLength } = await blob.getProperties({ conditions, abortSignal });
    if (contentLength !== position + length) throw error;
  }
}

function leaseCondition(leaseId: string | undefined) {
  return leaseId === undefined ? {} : { leaseId };
}
