import type { Clock } from '../../clock.ts';
import type { Telemetry } from '../../telemetry/telemetry.ts';
import type { BatchStore } from '../storage/batch-store.ts';
import type { JobSender } from '../model/job-message.ts';
import { MAX_INPUT_BYTES } from '../input-limits.ts';
import { planInput } from './plan-input.ts';
import { type BatchRecord, endedOutcome, failedPlan, type Plan } from '../model/batch-record.ts';
import { inputName, type ShardDependencies } from './load-shard.ts';
import { sendLanes } from './lanes.ts';

/** A message may arrive before the blob that it names, by at most this much. */
const LATE_INPUT_MS = 30_000;
const LATE_INPUT_DELAY_SECONDS = 5;

export interface PlannerOptions extends ShardDependencies {
  readonly store: BatchStore;
  readonly sender: JobSender;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
  readonly itemsPerShard?: number | undefined;
}

/**
 * Splits a batch into shards and queues the first ones. Safe to repeat after a crash: the plan is
 * written once, and a shard that is queued twice is processed once.
 */
export async function planBatch(record: BatchRecord, options: PlannerOptions): Promise<void> {
  const { store, telemetry, clock } = options;
  const { id } = record;
  if ((await store.progress(id)).finals.has(record.generation)) return;
  let plan = await store.plan(record);
  if (plan === undefined) {
    const created = await createPlan(record, options).catch((error: unknown) => {
      if (endedOutcome(record, clock.now()) === undefined) throw error;
      return undefined;
    });
    if (created === undefined) return endWithoutPlan(record, options);
    if (created === 'input late') {
      await options.sender.send({ v: 1, jobId: id }, { delaySeconds: LATE_INPUT_DELAY_SECONDS });
      telemetry.info('batch waiting for input', { jobId: id });
      return;
    }
    await store.savePlan(id, created);
    plan = await store.plan(record);
  }
  if (plan === undefined) throw new TypeError(`Cannot find the plan of ${id} after saving it`);
  if (plan.failed) {
    await store.finish(record, { outcome: 'failed', succeeded: 0, failed: 0, at: clock.now() });
    telemetry.warn('batch input rejected', { jobId: id, code: plan.errors[0]?.code });
    return;
  }
  await sendLanes(record, { progress: await store.progress(id), sender: options.sender });
  telemetry.info('batch planned', { jobId: id, total: plan.total, shards: plan.shards.length });
}

/** Ends a cancelled or expired batch whose input cannot be read. */
async function endWithoutPlan(
  record: BatchRecord,
  { store, clock, telemetry }: PlannerOptions,
): Promise<void> {
  const outcome = endedOutcome(record, clock.now()) ?? 'failed';
  await store.finish(record, { outcome, succeeded: 0, failed: 0, at: clock.now() });
  telemetry.warn('batch ended without its input', { jobId: record.id, outcome });
}

async function createPlan(
  record: BatchRecord,
  { inputs, itemsPerShard, clock }: PlannerOptions,
): Promise<Plan | 'input late'> {
  const name = inputName(record);
  const bytes = (await inputs.properties(name))?.bytes ?? 0;
  if (bytes > MAX_INPUT_BYTES) {
    return failedPlan('file_too_large', `The input must have at most ${MAX_INPUT_BYTES} bytes`);
  }
  const chunks = await inputs.stream(name);
  if (chunks !== undefined) return planInput(chunks, { itemsPerShard });
  const mayArrive = clock.now() < Date.parse(record.createdAt) + LATE_INPUT_MS;
  if (record.inputFileId === null && mayArrive) return 'input late';
  return failedPlan('input_not_found', 'The input file must exist');
}
