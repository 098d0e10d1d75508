import type { Clock } from '../../clock.ts';
import type { Telemetry } from '../../telemetry/telemetry.ts';
import type { JobSender } from '../model/job-message.ts';
import type { BatchStore } from '../storage/batch-store.ts';
import type { BatchRecord } from '../model/batch-record.ts';
import { isSettled, nextInLane, openShards } from '../planning/lanes.ts';
import type { BatchOutcome, BatchProgress } from '../storage/batch-progress.ts';

interface BatchDependencies {
  readonly store: BatchStore;
  readonly sender: JobSender;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
}

/**
 * Continues a batch after one of its shards is done: queues the next shard of the lane, or finishes
 * the batch if all shards are done. Every shard calls this at its end, so the last one finds the
 * others done. Two shards that end at once write the same files; the first one wins.
 */
export async function continueBatch(
  { record: stale, shard }: { readonly record: BatchRecord; readonly shard: number },
  { store, sender, clock, telemetry }: BatchDependencies,
): Promise<void> {
  const { id } = stale;
  const [record, progress] = await Promise.all([store.find(id), store.progress(id)]);
  if (record === undefined || progress.finals.has(record.generation)) return;
  const open = openShards(record, progress);
  if (open === undefined) return;
  if (open.length > 0) {
    const next = nextInLane(shard, open);
    // The delivery that processes a shard has a message for it.
    if (next === undefined || isRunning(next, progress)) return;
    return sender.send({ v: 1, jobId: id, shard: next }, { delaySeconds: 0 });
  }
  const shards = progress.shards.filter((one) => isSettled(one, record.generation));
  const failed = sum(shards.map((one) => one.failed));
  const succeeded = sum(shards.map((one) => one.done)) - failed;
  const outcome = outcomeOf(record, { failed, now: clock.now() });
  await store.finish(record, { outcome, succeeded, failed, at: clock.now() });
  telemetry.info('batch finished', { jobId: id, outcome, succeeded, failed });
}

function isRunning(shard: number, { shards }: BatchProgress): boolean {
  return shards.some((one) => one.shard === shard && one.isLeased);
}

function outcomeOf(
  record: BatchRecord,
  { failed, now }: { readonly failed: number; readonly now: number },
): BatchOutcome {
  if (record.cancelledAt !== null) return 'cancelled';
  return failed > 0 && now >= Date.parse(record.expiresAt) ? 'expired' : 'completed';
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
