import { isSettled, shardCount } from '../planning/lanes.ts';
import type { BatchRecord, InputError } from '../model/batch-record.ts';
import { outputFileId } from '../storage/blob-paths.ts';
import type { FinalState, ShardState, BatchProgress } from '../storage/batch-progress.ts';

export type BatchStatus =
  | 'validating'
  | 'failed'
  | 'in_progress'
  | 'finalizing'
  | 'completed'
  | 'expired'
  | 'cancelling'
  | 'cancelled';

/** A batch as its owner sees it. */
export interface BatchView {
  readonly record: BatchRecord;
  readonly status: BatchStatus;
  readonly counts: { readonly total: number; readonly completed: number; readonly failed: number };
  readonly final: FinalState | undefined;
  /** When the batch was split into shards, in epoch milliseconds. */
  readonly plannedAt: number | undefined;
  readonly shards: ShardCounts;
  /**
   * When the daily token budget of the owner returns, in epoch milliseconds, if the batch waits for
   * it; the end of the completion window if that is earlier.
   */
  readonly budgetReturnsAt: number | undefined;
  /** The ids of its files; null for a file that has no line yet. */
  readonly files: { readonly output: string | null; readonly errors: string | null };
  readonly errors: readonly InputError[];
}

export interface ShardCounts {
  readonly total: number;
  readonly done: number;
  readonly running: number;
  /** Neither done nor running: queued, or interrupted. */
  readonly waiting: number;
  /** Waiting shards whose process ended; the platform redelivers their messages after minutes. */
  readonly interrupted: number;
}

/** A batch that is unfinished this long after its completion window has lost its messages. */
const STALLED_AFTER_MS = 60 * 60_000;

export function viewBatch(
  record: BatchRecord,
  { progress, now }: { readonly progress: BatchProgress; readonly now: number },
): Omit<BatchView, 'errors'> {
  const final = progress.finals.get(record.generation);
  const shards = shardCount(record, progress);
  const total = record.items?.length ?? progress.plan?.total ?? 0;
  const failed = sum(progress.shards, 'failed');
  const { id, generation } = record;
  const completed = sum(progress.shards, 'done') - failed;
  const fileId = (kind: 'succeeded' | 'failed') => outputFileId({ id, kind, generation });
  return {
    record,
    files: {
      output: completed > 0 ? fileId('succeeded') : null,
      errors: failed > 0 ? fileId('failed') : null,
    },
    status: final?.outcome ?? unfinishedStatus(record, { progress, shards, now }),
    counts: { total, completed, failed },
    final,
    plannedAt: record.items === undefined ? progress.plan?.at : Date.parse(record.createdAt),
    budgetReturnsAt: final === undefined ? budgetReturnOf(progress, now) : undefined,
    shards: countShards(progress.shards, { total: shards ?? 0, generation: record.generation }),
  };
}

/** The latest state of a shard counts: the budget of the owner is the same for all of them. */
function budgetReturnOf({ shards }: BatchProgress, now: number): number | undefined {
  const times = shards.flatMap(({ isLeased, isDone, budgetReturnsAt }) =>
    isLeased || isDone || budgetReturnsAt === undefined ? [] : [budgetReturnsAt],
  );
  const latest = Math.max(...times);
  return latest > now ? latest : undefined;
}

/** Whether a batch has lost its messages: its window ended long ago and it is not finished. */
export function isStalled(
  { expiresAt, generation }: BatchRecord,
  { progress, now }: { readonly progress: BatchProgress; readonly now: number },
): boolean {
  return !progress.finals.has(generation) && now > Date.parse(expiresAt) + STALLED_AFTER_MS;
}

interface UnfinishedBatch {
  readonly progress: BatchProgress;
  readonly shards: number | undefined;
  readonly now: number;
}

function unfinishedStatus(
  record: BatchRecord,
  { progress, shards, now }: UnfinishedBatch,
): BatchStatus {
  if (isStalled(record, { progress, now })) return 'expired';
  if (record.cancelledAt !== null) return 'cancelling';
  if (shards === undefined) return 'validating';
  const settled = progress.shards.filter((shard) => isSettled(shard, record.generation));
  return settled.length < shards ? 'in_progress' : 'finalizing';
}

function countShards(
  shards: readonly ShardState[],
  { total, generation }: { readonly total: number; readonly generation: number },
): ShardCounts {
  const done = shards.filter((shard) => isSettled(shard, generation)).length;
  const open = shards.filter((shard) => !isSettled(shard, generation));
  const running = open.filter(({ isLeased }) => isLeased).length;
  return {
    total,
    done,
    running,
    waiting: total - done - running,
    interrupted: open.filter(({ isLeased, isReleased }) => !isLeased && !isReleased).length,
  };
}

function sum(shards: readonly ShardState[], field: 'done' | 'failed'): number {
  return shards.reduce((total, shard) => total + shard[field], 0);
}
