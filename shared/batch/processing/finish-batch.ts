import type { Clock } from '../../clock.ts';
import type { Telemetry } from '../../telemetry/telemetry.ts';
import type { BatchStore } from '../storage/batch-store.ts';
import type { BatchRecord } from '../model/batch-record.ts';
import type { BatchOutcome, ShardState, BatchProgress } from '../storage/batch-progress.ts';

interface FinishDependencies {
  readonly store: BatchStore;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
}

/**
 * Finishes the batch if all of its shards are done. Every shard calls this at its end, so the last
 * one finds the others done. Two shards that end at once write the same files; the first one wins.
 */
export async function finishIfComplete(
  stale: BatchRecord,
  { store, clock, telemetry }: FinishDependencies,
): Promise<void> {
  const [record, progress] = await Promise.all([store.find(stale.id), store.progress(stale.id)]);
  if (record === undefined || progress.finals.has(record.generation)) return;
  const shards = progress.shards.filter((shard) => isSettled(shard, record.generation));
  if (shards.length < (shardCount(record, progress) ?? Infinity)) return;
  const failed = sum(shards.map((shard) => shard.failed));
  const succeeded = sum(shards.map((shard) => shard.done)) - failed;
  const outcome = outcomeOf(record, { failed, now: clock.now() });
  await store.finish(record, { outcome, succeeded, failed, at: clock.now() });
  telemetry.info('batch finished', { jobId: record.id, outcome, succeeded, failed });
}

/** The number of shards; undefined before planning. */
export function shardCount(record: BatchRecord, { plan }: BatchProgress): number | undefined {
  return record.items === undefined ? plan?.shards : 1;
}

/** Whether a shard is done in a generation. A retry skips shards without failed items. */
export function isSettled(
  { isDone, failed, generation }: ShardState,
  currentGeneration: number,
): boolean {
  return isDone && (generation === currentGeneration || failed === 0);
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
