import type { Clock } from '../clock.ts';
import type { Telemetry } from '../telemetry/telemetry.ts';
import type { BatchStore } from './batch-store.ts';
import type { JobSender } from './job-sender.ts';
import { planInput } from './plan-input.ts';
import { failedPlan, type Plan } from './plan.ts';
import type { BatchRecord } from './record.ts';
import { inputName, type ShardNeeds } from './shard.ts';

/** Sends at once: enough to hide the way to the queue, few enough not to flood it. */
const PARALLEL = 8;

export interface PlannerOptions extends ShardNeeds {
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
    await store.keepPlan(id, await planOf(record, options));
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
  { inputs, itemsPerShard }: PlannerOptions,
): Promise<Plan> {
  const chunks = await inputs.stream(inputName(record));
  if (chunks === undefined) return failedPlan('input_not_found', 'The input file must exist');
  return planInput(chunks, { itemsPerShard });
}
