import type { BatchRecord } from '../model/batch-record.ts';
import type { JobSender } from '../model/job-message.ts';
import type { BatchProgress, ShardState } from '../storage/batch-progress.ts';

/**
 * Shards of one batch that have a message at once. A batch with many shards would otherwise fill the
 * queue in front of the batches of other callers.
 */
const LANES = 8;

/** The shards that are not done; undefined before planning. */
export function openShards(
  record: BatchRecord,
  progress: BatchProgress,
): readonly number[] | undefined {
  const count = shardCount(record, progress);
  if (count === undefined) return undefined;
  const settled = new Set(
    progress.shards.filter((one) => isSettled(one, record.generation)).map(({ shard }) => shard),
  );
  return Array.from({ length: count }, (_, shard) => shard).filter((shard) => !settled.has(shard));
}

/** Queues the first open shard of each lane. One that is queued already is processed once all the same. */
export async function sendLanes(
  record: BatchRecord,
  { progress, sender }: { readonly progress: BatchProgress; readonly sender: JobSender },
): Promise<void> {
  const { id } = record;
  const open = openShards(record, progress);
  if (open === undefined) return sender.send({ v: 1, jobId: id }, { delaySeconds: 0 });
  const first = new Map<number, number>();
  for (const shard of open) if (!first.has(shard % LANES)) first.set(shard % LANES, shard);
  // If no shard is open, only the final state is missing; any shard writes it.
  const shards = open.length === 0 ? [0] : [...first.values()];
  await Promise.all(
    shards.map((shard) => sender.send({ v: 1, jobId: id, shard }, { delaySeconds: 0 })),
  );
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

/** The shard that follows another one in its lane. */
export function nextInLane(shard: number, open: readonly number[]): number | undefined {
  const lane = open.filter((other) => other % LANES === shard % LANES);
  return lane.find((other) => other > shard) ?? lane[0];
}
