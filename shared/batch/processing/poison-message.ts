import type { Clock } from '../../clock.ts';
import { ServiceError } from '../../errors.ts';
import type { Telemetry } from '../../telemetry/telemetry.ts';
import type { BatchStore } from '../storage/batch-store.ts';
import { createOrGetBatch } from './process-message.ts';
import { failUnfinished } from './process-shard.ts';
import { finishIfComplete } from './finish-batch.ts';
import { type Job, type JobSender, parseJob } from '../model/job-message.ts';
import { sendShards } from '../planning/plan-batch.ts';
import { type BatchRecord, failedPlan } from '../model/batch-record.ts';
import { loadShard, type ShardDependencies } from '../planning/load-shard.ts';

export interface PoisonDependencies extends ShardDependencies {
  readonly store: BatchStore;
  readonly sender: JobSender;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
}

/** Times in a row that a message is put back while its deliveries leave no result behind. */
const MAX_POISON_COUNT = 3;
const REQUEUE_DELAY_SECONDS = 10;

/**
 * Takes a message that the platform gave up after its last delivery: the process ended or storage
 * was away each time. It is put back, a few times in a row unless results came in between; then
 * every item without a result gets one that says so. What was answered stays.
 */
export async function handlePoisonMessage(
  message: unknown,
  needs: PoisonDependencies,
): Promise<void> {
  const { store, telemetry, clock } = needs;
  const parsed = parseJob(message);
  let reason = parsed.ok ? undefined : parsed.reason;
  if (parsed.ok) {
    const begun = await createOrGetBatch(parsed.job, { store, clock });
    if (begun.kind === 'known')
      return handlePoisonedJob(parsed.job, { record: begun.record, needs });
    reason = begun.reason;
  }
  const jobId = parsed.ok ? parsed.job.jobId : undefined;
  await store.recordDeadLetter({ reason: reason ?? '', message, jobId });
  telemetry.error('batch message poisoned', { jobId, reason });
}

interface PoisonedJob {
  readonly record: BatchRecord;
  readonly needs: PoisonDependencies;
}

async function handlePoisonedJob(job: Job, { record, needs }: PoisonedJob): Promise<void> {
  if (record.items === undefined && !('shard' in job)) return handlePoisonedPlanning(record, needs);
  const number = 'shard' in job ? job.shard : 0;
  const shard = await loadShard({ record, shard: number }, needs);
  if (shard === undefined) {
    const reason = 'The batch has no such shard';
    await needs.store.recordDeadLetter({ reason, message: job, jobId: record.id });
    return;
  }
  const hold = await needs.store.open({ ...shard, total: shard.items.length });
  if (hold === 'busy') {
    // A hold ends by itself when its owner is gone.
    throw new ServiceError('overloaded', 'Cannot explain a job while another delivery holds it');
  }
  const where = { jobId: record.id, shard: number };
  try {
    const { results, poisonings } = hold.view;
    if (poisonings < MAX_POISON_COUNT && results.size < shard.items.length) {
      // Not deadly by what is known: a neighbour may have ended the process, or storage was away.
      await hold.append({ type: 'poisoned', results: results.size });
      const delaySeconds = poisonings * REQUEUE_DELAY_SECONDS;
      await needs.sender.send({ v: 1, ...where }, { delaySeconds });
      needs.telemetry.warn('batch message put back', { ...where, results: results.size });
      return;
    }
    const why = 'its message failed at each delivery';
    const exhausted = await failUnfinished(shard, { hold, code: 'exhausted', why });
    await hold.finish();
    needs.telemetry.error('batch message poisoned', { ...where, exhausted });
  } finally {
    await hold.release();
  }
  await finishIfComplete(record, needs);
}

/** A batch that was split needs only its parts on the queue; one that cannot be split has failed. */
async function handlePoisonedPlanning(
  record: BatchRecord,
  needs: PoisonDependencies,
): Promise<void> {
  const { store, sender, telemetry, clock } = needs;
  const { id } = record;
  telemetry.error('batch message poisoned', { jobId: id, reason: 'planning failed each time' });
  await store.keepPlan(id, failedPlan('exhausted', 'The input could not be read, five times'));
  const plan = await store.plan(record);
  if (plan === undefined || plan.failed) {
    await store.finish(record, { outcome: 'failed', succeeded: 0, failed: 0, at: clock.now() });
  } else {
    await sendShards({ id, shards: [...plan.shards.keys()] }, sender);
  }
}
