import { RestError, type AppendBlobClient, type BlobLeaseClient } from '@azure/storage-blob';
import type { Clock } from '../clock.ts';
import type { Telemetry } from '../telemetry/telemetry.ts';
import { appendOnce } from './append-once.ts';
import { createGroupCommit } from './group-commit.ts';
import { digestOf, type Job } from './job.ts';
import { readJournal, type JournalEntry, type JournalView } from './journal.ts';
import { keepLease, LEASE_SECONDS, type KeptLease } from './keep-lease.ts';
import type { JobHold } from './result-store.ts';

interface HoldOptions {
  readonly job: Job;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
  readonly renewEveryMs?: number | undefined;
}

/** Leases the journal of a job, begins it if it is new, and reads what it holds. */
export async function holdJournal(
  blob: AppendBlobClient,
  options: HoldOptions,
): Promise<JobHold | 'busy'> {
  const askedAt = performance.now();
  const acquired = await acquire(blob);
  if (acquired === 'busy') return 'busy';
  const telemetry = options.telemetry.with({ jobId: options.job.jobId });
  const { renewEveryMs } = options;
  const lease = keepLease(acquired, { askedAt, telemetry, renewEveryMs });
  try {
    return await openJournal(blob, { ...options, telemetry, lease });
  } catch (error) {
    await lease.release();
    throw error;
  }
}

async function openJournal(
  blob: AppendBlobClient,
  { job, clock, telemetry, lease }: HoldOptions & { readonly lease: KeptLease },
): Promise<JobHold> {
  const bytes = await blob.downloadToBuffer();
  const text = bytes.toString('utf8');
  const writer = createGroupCommit({
    write: (lines, position) => appendOnce(blob, { lines, position, leaseId: lease.leaseId }),
    position: bytes.byteLength,
  });
  const repair = text === '' || text.endsWith('\n') ? '' : '\n';
  if (repair !== '') await writer.add(repair);
  const view = readJournal(job.jobId, text) ?? (await begin());
  if (view.unreadable > 0) {
    telemetry.error('batch journal has unreadable lines', { count: view.unreadable });
  }
  return { view, lost: lease.lost, append, release: () => lease.release() };

  function append(entry: JournalEntry): Promise<void> {
    return writer.add(`${JSON.stringify(entry)}\n`);
  }

  async function begin(): Promise<JournalView> {
    const createdAt = new Date(clock.now()).toISOString();
    const head = {
      type: 'job',
      digest: digestOf(job),
      total: job.items.length,
      createdAt,
    } as const;
    await append(head);
    const view = readJournal(job.jobId, `${text}\n${JSON.stringify(head)}\n`);
    if (view === undefined) throw new TypeError('Cannot read the first line of a journal');
    return view;
  }
}

/** A redelivery finds the blob. Only a new job pays for creating it. */
async function acquire(blob: AppendBlobClient): Promise<BlobLeaseClient | 'busy'> {
  const lease = blob.getBlobLeaseClient();
  try {
    await lease.acquireLease(LEASE_SECONDS);
    return lease;
  } catch (error) {
    if (statusOf(error) === 409) return 'busy';
    if (statusOf(error) !== 404) throw error;
  }
  try {
    await blob.createIfNotExists({ blobHTTPHeaders: { blobContentType: 'application/x-ndjson' } });
    await lease.acquireLease(LEASE_SECONDS);
    return lease;
  } catch (error) {
    // 412: another delivery created it just now and holds it already.
    if (statusOf(error) === 409 || statusOf(error) === 412) return 'busy';
    throw error;
  }
}

function statusOf(error: unknown): number | undefined {
  return error instanceof RestError ? error.statusCode : undefined;
}
