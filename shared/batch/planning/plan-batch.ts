import type { Clock } from '../../clock.ts';
import type { Telemetry } from '../../telemetry/telemetry.ts';
import type { BatchStore } from '../storage/batch-store.ts';
import type { JobSender } from '../model/job-message.ts';
import { MAX_INPUT_BYTES, planInput } from './plan-input.ts';
import { type BatchRecord, failedPlan, type Plan } from '../model/batch-record.ts';
import { inputName, type ShardDependencies } from './load-shard.ts';

/** Sends at once: enough to hide the way to the queue, few enough not to flood it. */
const PARALLEL = 8;
/** A message may overtake the blob that it points to, but not by more than this. */
const LATE_INPUT_MS = 30_000;
const LATE_DELAY_SECONDS = 5;

export interface PlannerOptions extends ShardDependencies {
  readonly store: BatchStore;
  readonly sender: JobSender;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
  readonly itemsPerShard?: number | undefined;
}

/**
 * Splits a batch and puts each part on the queue. Killed in the middle it is simply done again: the
 * plan is written once, and a part that is sent twice is worked on once.
 */
export async function planBatch(record: BatchRecord, options: PlannerOptions): Promise<void> {
  const { store, telemetry, clock } = options;
  const { id } = record;
  if ((await store.survey(id)).finals.has(record.generation)) return;
  let plan = await store.plan(record);
  if (plan === undefined) {
    const made = await planOf(record, options);
    if (made === 'not there yet') {
      await options.sender.send({ v: 1, jobId: id }, { delaySeconds: LATE_DELAY_SECONDS });
      telemetry.info('batch waits for its input', { jobId: id });
      return;
    }
    await store.keepPlan(id, made);
    plan = await store.plan(record);
  }
  if (plan === undefined) throw new TypeError(`Cannot find the plan of ${id} that was just kept`);
  if (plan.failed) {
    await store.finish(record, { outcome: 'failed', succeeded: 0, failed: 0, at: clock.now() });
    telemetry.warn('batch input refused', { jobId: id, code: plan.errors[0]?.code });
    return;
  }
  await sendShards({ id, shards: [...plan.shards.keys()] }, options.sender);
  telemetry.info('batch planned', { jobId: id, total: plan.total, shards: plan.shards.length });
}

/** Puts shards on the queue; one that is there already does no harm. */
export async function sendShards(
  { id, shards }: { readonly id: string; readonly shards: readonly number[] },
  sender: JobSender,
): Promise<void> {
  const queue = shards.values();
  const lane = async (): Promise<void> => {
    for (const shard of queue) await sender.send({ v: 1, jobId: id, shard }, { delaySeconds: 0 });
  };
  await Promise.all(Array.from({ length: PARALLEL }, lane));
}

async function planOf(
  record: BatchRecord,
  { inputs, itemsPerShard, clock }: PlannerOptions,
): Promise<Plan | 'not there yet'> {
  const name = inputName(record);
  const bytes = (await inputs.facts(name))?.bytes ?? 0;
  if (bytes > MAX_INPUT_BYTES) {
    return failedPlan('file_too_large', `The input must have at most ${MAX_INPUT_BYTES} bytes`);
  }
  const chunks = await inputs.stream(name);
  if (chunks !== undefined) return planInput(chunks, { itemsPerShard });
  const mayCome = clock.now() < Date.parse(record.createdAt) + LATE_INPUT_MS;
  if (record.inputFileId === null && mayCome) return 'not there yet';
  return failedPlan('input_not_found', 'The input file must exist');
}
