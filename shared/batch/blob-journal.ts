import { RestError, type AppendBlobClient, type BlobLeaseClient } from '@azure/storage-blob';
import type { Clock } from '../clock.ts';
import { describeCause } from '../telemetry/describe-cause.ts';
import type { Telemetry } from '../telemetry/telemetry.ts';
import { createGroupCommit } from './group-commit.ts';
import { digestOf, type Job } from './job.ts';
import { readJournal, type JournalEntry } from './result.ts';
import type { JobHold } from './result-store.ts';

/** The shortest lease that storage grants: after a crash the next delivery waits this long. */
const LEASE_SECONDS = 15;
const RENEW_EVERY_MS = 5_000;

interface HoldOptions {
  readonly job: Job;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
}

/** Leases the journal of a job, begins it if it is new, and reads what it holds. */
export async function holdJournal(
  blob: AppendBlobClient,
  { job, clock, telemetry }: HoldOptions,
): Promise<JobHold | 'busy'> {
  await blob.createIfNotExists({ blobHTTPHeaders: { blobContentType: 'application/x-ndjson' } });
  const lease = await acquire(blob);
  if (lease === undefined) return 'busy';
  const lost = new AbortController();
  const renewal = renew(lease, { lost, telemetry });
  try {
    const bytes = await blob.downloadToBuffer();
    const writer = createGroupCommit({
      write: (lines, position) => appendOnce(blob, { lines, position, leaseId: lease.leaseId }),
      position: bytes.byteLength,
    });
    const append = (entry: JournalEntry): Promise<void> => writer.add(`${JSON.stringify(entry)}\n`);
    let view = readJournal(job.jobId, bytes.toString('utf8'));
    if (view === undefined) {
      const createdAt = new Date(clock.now()).toISOString();
      const head = {
        type: 'job',
        digest: digestOf(job),
        total: job.items.length,
        createdAt,
      } as const;
      await append(head);
      view = { ...head, jobId: job.jobId, results: new Map(), attempts: new Map() };
    }
    return { view, lost: lost.signal, append, release: () => release(lease, renewal) };
  } catch (error) {
    await release(lease, renewal);
    throw error;
  }
}

async function acquire(blob: AppendBlobClient): Promise<BlobLeaseClient | undefined> {
  const lease = blob.getBlobLeaseClient();
  try {
    await lease.acquireLease(LEASE_SECONDS);
    return lease;
  } catch (error) {
    if (error instanceof RestError && error.statusCode === 409) return undefined;
    throw error;
  }
}

function renew(
  lease: BlobLeaseClient,
  { lost, telemetry }: { lost: AbortController; telemetry: Telemetry },
): NodeJS.Timeout {
  const timer = setInterval(() => {
    lease.renewLease().catch((error: unknown) => {
      if (lost.signal.aborted) return;
      telemetry.warn('batch job hold lost', { cause: describeCause(error) });
      clearInterval(timer);
      lost.abort(error);
    });
  }, RENEW_EVERY_MS);
  return timer;
}

/** A lease that cannot be given back ends by itself, so a failure here harms nobody. */
async function release(lease: BlobLeaseClient, renewal: NodeJS.Timeout): Promise<void> {
  clearInterval(renewal);
  await lease.releaseLease().catch(() => undefined);
}

interface Append {
  readonly lines: string;
  /** Where the journal must end for the append to be made. */
  readonly position: number;
  readonly leaseId: string;
}

/**
 * Appends at a known position, so that the client's own retry after a lost answer cannot write
 * the same lines twice: the repeat is refused, and the length tells that the first one counted.
 */
async function appendOnce(
  blob: AppendBlobClient,
  { lines, position, leaseId }: Append,
): Promise<void> {
  const length = Buffer.byteLength(lines);
  try {
    await blob.appendBlock(lines, length, { conditions: { leaseId, appendPosition: position } });
  } catch (error) {
    if (!(error instanceof RestError) || error.code !== 'AppendPositionConditionNotMet')
      throw error;
    const { contentLength } = await blob.getProperties();
    if (contentLength !== position + length) throw error;
  }
}
