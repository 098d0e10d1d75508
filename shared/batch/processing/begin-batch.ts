import { hash } from 'node:crypto';
import type { Clock } from '../../clock.ts';
import type { BatchStore } from '../storage/batch-store.part.ts';
import { digestOf, type InlineJob, type Job, type PointerJob } from '../model/job-message.ts';
import { newRecord, type BatchRecord } from '../model/batch-record.ts';

export type Begun =
  | { readonly kind: 'known'; readonly record: BatchRecord }
  /** Why there is no batch for this job. */
  | { readonly kind: 'refused'; readonly reason: string };

/** The batch of a message: a new one, or the one that it belongs to. */
export async function beginBatch(
  job: Job,
  { store, clock }: { readonly store: BatchStore; readonly clock: Clock },
): Promise<Begun> {
  // Also for a new one: the storage's answer tells the time that the record is dated with.
  const found = await store.find(job.jobId);
  if (!('items' in job) && !('inputBlob' in job)) {
    if (found !== undefined) return { kind: 'known', record: found };
    return {
      kind: 'refused',
      reason: 'There is no batch with this jobId, and the message has neither items nor inputBlob',
    };
  }
  const wanted = recordOf(job, clock.now());
  const record = await store.begin(wanted);
  if (record.digest !== wanted.digest) {
    return { kind: 'refused', reason: 'Another job with other items has this jobId' };
  }
  if (record.owner !== wanted.owner) {
    return { kind: 'refused', reason: 'Another job with another owner has this jobId' };
  }
  return { kind: 'known', record };
}

/** Owners are kept as their hash, as requests carry them: storage need not know who they are. */
function recordOf(job: InlineJob | PointerJob, now: number): BatchRecord {
  const input = 'items' in job ? job.items : job.inputBlob;
  const { jobId: id } = job;
  const owner = job.owner === undefined ? null : hash('sha256', job.owner, 'base64url');
  const record = newRecord({ id, owner, digest: digestOf(input), now });
  if ('items' in job) return { ...record, items: job.items };
  return { ...record, inputBlob: job.inputBlob };
}
