import type { Clock } from '../../clock.ts';
import { ServiceError, toServiceError } from '../../errors.ts';
import { describeError } from '../../telemetry/describe-error.ts';
import type { Telemetry } from '../../telemetry/telemetry.ts';
import type { BatchStore } from '../storage/batch-store.ts';
import { createOrGetBatch } from './process-message.ts';
import { failUnfinished } from './process-shard.ts';
import { continueBatch } from './finish-batch.ts';
import { sendLanes } from '../planning/lanes.ts';
import { type Job, type JobSender, parseJob } from '../model/job-message.ts';
import { type BatchRecord, endedOutcome, failedPlan } from '../model/batch-record.ts';
import { loadShard, type ShardDependencies } from '../planning/load-shard.ts';

export interface PoisonDependencies extends ShardDependencies {
  readonly store: BatchStore;
  readonly sender: JobSender;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
  /** Caller id that owns jobs without an owner. */
  readonly queueOwner?: string | undefined;
}

/** Times in a row that a poisoned message is requeued without a new result in between. */
const MAX_POISON_COUNT = 3;
const REQUEUE_DELAY_SECONDS = 10;

/**
 * Handles a message of the poison queue: each of its deliveries crashed or failed. Requeues it a few
 * times in a row unless there are new results; then writes a failed result for every item without
 * one. Existing results stay.
 */
export async function handlePoisonMessage(
  message: unknown,
  dependencies: PoisonDependencies,
): Promise<void> {
  const { store, telemetry } = dependencies;
  const parsed = parseJob(message);
  let reason = parsed.ok ? '' : parsed.reason;
  let loggableReason = parsed.ok ? '' : parsed.loggableReason;
  if (parsed.ok) {
    const batch = await createOrGetBatch(parsed.job, dependencies);
    if (batch.kind === 'found') {
      const { record } = batch;
      return handlePoisonedJob(parsed.job, { record, dependencies }).catch((error: unknown) =>
        endAnyway(record, { error, dependencies }),
      );
    }
    reason = loggableReason = batch.reason;
  }
  const jobId = parsed.ok ? parsed.job.jobId : undefined;
  await store.recordDeadLetter({ reason, message, jobId });
  telemetry.error('batch message poisoned', { jobId, reason: loggableReason });
}

interface PoisonedJob {
  readonly record: BatchRecord;
  readonly dependencies: PoisonDependencies;
}

async function handlePoisonedJob(job: Job, { record, dependencies }: PoisonedJob): Promise<void> {
  if (record.items === undefined && !('shard' in job)) {
    return handlePoisonedPlanning(record, dependencies);
  }
  const { store, sender, telemetry } = dependencies;
  const number = 'shard' in job ? job.shard : 0;
  const shard = await loadShard({ record, shard: number }, dependencies);
  if (shard === undefined) {
    const reason = 'The batch has no such shard';
    await store.recordDeadLetter({ reason, message: job, jobId: record.id });
    return;
  }
  const lease = await store.acquireShard({ ...shard, total: shard.items.length });
  if (lease === 'busy') {
    // The lease of a crashed process expires, so a later attempt succeeds.
    throw new ServiceError('overloaded', 'Cannot handle a poisoned job while it is processed');
  }
  const ref = { jobId: record.id, shard: number };
  try {
    const { results, poisonCount } = lease.view;
    if (poisonCount < MAX_POISON_COUNT && results.size < shard.items.length) {
      // The job may not be the cause: another job may crash the process, or storage was unavailable.
      await lease.append({ type: 'poisoned', results: results.size });
      const delaySeconds = poisonCount * REQUEUE_DELAY_SECONDS;
      await sender.send({ v: 1, ...ref }, { delaySeconds });
      telemetry.warn('batch message requeued', { ...ref, results: results.size });
      return;
    }
    const why = 'its message failed at each delivery';
    const exhausted = await failUnfinished(shard, { lease, code: 'exhausted', why });
    await lease.finish();
    telemetry.error('batch message poisoned', { ...ref, exhausted });
  } finally {
    await lease.release();
  }
  await continueBatch({ record, shard: number }, dependencies);
}

/**
 * Ends a cancelled or expired batch whose journals cannot be written, so that no state of storage
 * leaves it without an end. Its open items have no result.
 * @throws the error of a batch that may still run
 */
async function endAnyway(
  record: BatchRecord,
  { error, dependencies }: { readonly error: unknown; readonly dependencies: PoisonDependencies },
): Promise<void> {
  const { store, clock, telemetry } = dependencies;
  const outcome = endedOutcome(record, clock.now());
  if (outcome === undefined || toServiceError(error).code === 'overloaded') throw error;
  const { finals, shards } = await store.progress(record.id);
  if (finals.has(record.generation)) return;
  const failed = shards.reduce((sum, shard) => sum + shard.failed, 0);
  const succeeded = shards.reduce((sum, shard) => sum + shard.done, 0) - failed;
  await store.finish(record, { outcome, succeeded, failed, at: clock.now() });
  const cause = describeError(error);
  telemetry.error('batch ended without its journals', { jobId: record.id, outcome, cause });
}

/** Queues the shards of a batch that has a plan; fails a batch that cannot be planned. */
async function handlePoisonedPlanning(
  record: BatchRecord,
  { store, sender, telemetry, clock }: PoisonDependencies,
): Promise<void> {
  const { id } = record;
  telemetry.error('batch message poisoned', { jobId: id, reason: 'planning failed each time' });
  await store.savePlan(id, failedPlan('exhausted', 'The input could not be read, five times'));
  const plan = await store.plan(record);
  if (plan === undefined || plan.failed) {
    await store.finish(record, { outcome: 'failed', succeeded: 0, failed: 0, at: clock.now() });
  } else {
    await sendLanes(record, { progress: await store.progress(id), sender });
  }
}
