import type { AppendBlobClient } from '@azure/storage-blob';
import type { Telemetry } from '../../telemetry/telemetry.ts';
import { appendOnce } from './append-once.ts';
import type { BlobHold } from '../blob-container.ts';
import { keepLease, LEASE_SECONDS } from './blob-lease.ts';
import { isAbsence, statusOf } from './storage-errors.ts';

const JOURNAL_TYPE = { blobHTTPHeaders: { blobContentType: 'application/x-ndjson' } } as const;

interface HoldNeeds {
  /** Makes a call that ends in time, and whose failure is one of ours. */
  readonly ask: <T>(call: (abortSignal: AbortSignal) => Promise<T>) => Promise<T>;
  readonly telemetry: Telemetry;
  readonly renewEveryMs?: number | undefined;
}

/** Takes the lease of a blob, which is the sole right to append to it, and keeps it. */
export async function holdBlob(
  blob: AppendBlobClient,
  { ask, telemetry, renewEveryMs }: HoldNeeds,
): Promise<BlobHold | 'busy'> {
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
    if (isAbsence(error)) return false;
    throw error;
  }
}
