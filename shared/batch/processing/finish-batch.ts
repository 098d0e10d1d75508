import type { Clock } from '../../clock.ts';
import type { Telemetry } from '../../telemetry/telemetry.ts';
import type { BatchStore } from '../storage/batch-store.ts';
import type { BatchRecord } from '../model/batch-record.ts';
import type { BatchOutcome, ShardState, BatchProgress } from '../storage/batch-progress.ts';

export interface FinishDependencies {
  readonly store: BatchStore;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
}

/**
 * Ends the batch when all of its shards are done. Each shard asks at its end, so the last one finds
 * the others done; when two are the last, what both write is the same, and the first one counts.
 */
export async function finishIfComplete(
  stale: BatchRecord,
  needs: FinishDependencies,
): Promise<void> {
  const { store, clock, telemetry } = needs;
  const [record, survey] = await Promise.all([store.find(stale.id), store.survey(stale.id)]);
  if (record === undefined || survey.finals.has(record.generation)) return;
  const shards = survey.shards.filter((shard) => isSettled(shard, record.generation));
  if (shards.length < (shardCount(record, survey) ?? Infinity)) return;
  const failed = sum(shards.map((shard) => shard.failed));
  const succeeded = sum(shards.map((shard) => shard.done)) - failed;
  const outcome = outcomeOf(record, { failed, now: clock.now() });
  await store.finish(record, { outcome, succeeded, failed, at: clock.now() });
  telemetry.info('batch finished', { jobId: record.id, outcome, succeeded, failed });
}

/** How many shards there are, once that is known. */
export function shardCount(record: BatchRecord, { plan }: BatchProgress): number | undefined {
  return record.items === undefined ? plan?.shards : 1;
}

/** A retry leaves shards alone in which nothing failed. */
export function isSettled({ isDone, failed, generation }: ShardState, wanted: number): boolean {
  return isDone && (generation === wanted || failed === 0);
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
