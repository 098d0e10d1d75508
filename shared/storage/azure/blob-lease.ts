import { type AppendBlobClient, RestError } from '@azure/storage-blob';
import { isNotFound, statusOf } from './storage-errors.ts';
import type { BlobLease } from '../blob-container.ts';
import { describeError } from '../../telemetry/describe-error.ts';
import type { Telemetry } from '../../telemetry/telemetry.ts';

const JOURNAL_TYPE = { blobHTTPHeaders: { blobContentType: 'application/x-ndjson' } } as const;

interface BlobLeaseDependencies {
  /** Makes a call that ends in time, and whose failure is one of ours. */
  readonly ask: <T>(call: (abortSignal: AbortSignal) => Promise<T>) => Promise<T>;
  readonly telemetry: Telemetry;
  readonly renewEveryMs?: number | undefined;
}

/** Takes the lease of a blob, which is the sole right to append to it, and keeps it. */
export async function acquireBlobLease(
  blob: AppendBlobClient,
  { ask, telemetry, renewEveryMs }: BlobLeaseDependencies,
): Promise<BlobLease | 'busy'> {
  const client = blob.getBlobLeaseClient();
  const askedAt = performance.now();
  if ((await ask((abortSignal) => acquire(blob, { client, abortSignal }))) === 'busy')
    return 'busy';
  const lease = keepLease(client, {
    askedAt,
    telemetry: telemetry.with({ blob: blob.name }),
    renewEveryMs,
  });
  const { leaseId } = lease;
  const conditions = { leaseId };
  // What the lease client is asked last must not hold up the end of a job either.
  const release = () => ask(() => lease.release()).catch(() => undefined);
  try {
    const { contentLength = 0 } = await ask((abortSignal) =>
      blob.getProperties({ conditions, abortSignal }),
    );
    return {
      bytes: contentLength,
      lost: lease.lost,
      append: (lines, position) =>
        ask((abortSignal) => appendOnce(blob, { lines, position, leaseId, abortSignal })),
      note: async (facts) =>
        void (await ask((abortSignal) =>
          blob.setMetadata({ ...facts }, { conditions, abortSignal }),
        )),
      release,
    };
  } catch (error) {
    await release();
    throw error;
  }
}

interface Acquiring {
  readonly client: ReturnType<AppendBlobClient['getBlobLeaseClient']>;
  readonly abortSignal: AbortSignal;
}

async function acquire(
  blob: AppendBlobClient,
  { client, abortSignal }: Acquiring,
): Promise<'held' | 'busy'> {
  try {
    // A redelivery finds the blob. Only a new one pays for creating it.
    if (await acquireExisting({ client, abortSignal })) return 'held';
    await blob.createIfNotExists({ ...JOURNAL_TYPE, abortSignal });
    await client.acquireLease(LEASE_SECONDS, { abortSignal });
    return 'held';
  } catch (error) {
    // 412: another delivery created it just now and holds it already.
    if (statusOf(error) === 409 || statusOf(error) === 412) return 'busy';
    throw error;
  }
}

async function acquireExisting({ client, abortSignal }: Acquiring): Promise<boolean> {
  try {
    await client.acquireLease(LEASE_SECONDS, { abortSignal });
    return true;
  } catch (error) {
    if (isNotFound(error)) return false;
    throw error;
  }
}

/** The shortest lease that storage grants: after a crash the next delivery waits this long. */
export const LEASE_SECONDS = 15;
/** Two renewals may fail before the lease ends. */
const RENEW_EVERY_MS = 4_000;

/** A lease that is renewed in the background. */
export interface KeptLease {
  readonly leaseId: string;
  /** Aborts when somebody else may have the lease. */
  readonly lost: AbortSignal;
  /** A lease that cannot be given back ends by itself, so a failure here harms nobody. */
  release(): Promise<void>;
}

export interface KeptLeaseOptions {
  /** When the lease was asked for, by the monotonic clock: it may have begun as early as that. */
  readonly askedAt: number;
  readonly telemetry: Telemetry;
  readonly renewEveryMs?: number | undefined;
}

/** What is needed of the lease client of the storage library. */
export interface Lease {
  readonly leaseId: string;
  renewLease(options: { readonly abortSignal: AbortSignal }): Promise<unknown>;
  releaseLease(): Promise<unknown>;
}

/** Renews a lease that was just acquired until it is released, or lost. */
export function keepLease(lease: Lease, options: KeptLeaseOptions): KeptLease {
  const { telemetry, renewEveryMs = RENEW_EVERY_MS } = options;
  const ended = new AbortController();
  const lost = new AbortController();
  let renewal: NodeJS.Timeout;
  let expiry: NodeJS.Timeout | undefined;

  /** One after the other, so that a slow renewal is not overtaken by the next. */
  function renewLater(): void {
    renewal = setTimeout(() => void renew(), renewEveryMs);
  }

  function heldSince(time: number): void {
    clearTimeout(expiry);
    const leftMs = time + LEASE_SECONDS * 1_000 - performance.now();
    expiry = setTimeout(() => lose('no renewal came through in time'), leftMs);
  }

  async function renew(): Promise<void> {
    const askedAt = performance.now();
    try {
      await lease.renewLease({ abortSignal: ended.signal });
      if (!ended.signal.aborted) heldSince(askedAt);
    } catch (error) {
      if (isRefusal(error)) lose(describeError(error));
    }
    if (!ended.signal.aborted) renewLater();
  }

  function lose(cause: string): void {
    if (ended.signal.aborted) return;
    end();
    telemetry.warn('batch job hold lost', { cause });
    lost.abort(new Error('The hold on the job was lost'));
  }

  function end(): void {
    clearTimeout(renewal);
    clearTimeout(expiry);
    ended.abort();
  }

  heldSince(options.askedAt);
  renewLater();
  return {
    leaseId: lease.leaseId,
    lost: lost.signal,
    async release() {
      end();
      if (!lost.signal.aborted) await lease.releaseLease().catch(() => undefined);
    },
  };
}

/** Storage answered, and the answer is no. Everything else may pass. */
function isRefusal(error: unknown): boolean {
  return error instanceof RestError && [404, 409, 412].includes(error.statusCode ?? 0);
}

interface Append {
  readonly lines: string;
  /** Where the blob must end for the append to be made. */
  readonly position: number;
  readonly leaseId: string;
  readonly abortSignal: AbortSignal;
}

/**
 * Appends at a known position, so that the client's own retry after a lost answer cannot write
 * the same lines twice: the repeat is refused, and the length tells that the first one counted.
 * Nobody else can have written meanwhile, because the length is asked for under the lease.
 */
export async function appendOnce(
  blob: AppendBlobClient,
  { lines, position, leaseId, abortSignal }: Append,
): Promise<void> {
  const length = Buffer.byteLength(lines);
  try {
    const conditions = { leaseId, appendPosition: position };
    await blob.appendBlock(lines, length, { conditions, abortSignal });
  } catch (error) {
    if (!(error instanceof RestError) || error.code !== 'AppendPositionConditionNotMet')
      throw error;
    const { contentLength } = await blob.getProperties({ conditions: { leaseId }, abortSignal });
    if (contentLength !== position + length) throw error;
  }
}
