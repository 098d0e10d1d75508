import { isSettled, shardCount } from '../processing/finish-batch.ts';
import type { BatchRecord, InputError } from '../model/batch-record.ts';
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

/** How far a batch is, for those who ask. */
export interface BatchView {
  readonly record: BatchRecord;
  readonly status: BatchStatus;
  readonly counts: { readonly total: number; readonly completed: number; readonly failed: number };
  readonly final: FinalState | undefined;
  /** When it was split, in milliseconds since the epoch. */
  readonly plannedAt: number | undefined;
  readonly shards: ShardCounts;
  readonly errors: readonly InputError[];
}

export interface ShardCounts {
  readonly total: number;
  readonly done: number;
  readonly running: number;
  /** Neither done nor worked on now: on the queue, or with a process that is gone. */
  readonly waiting: number;
  /** Of those, ones whose process is gone: the platform delivers them again after some minutes. */
  readonly interrupted: number;
}

/** What nobody finished by then will not be finished: its messages are gone. */
const STALLED_AFTER_MS = 60 * 60_000;

export function viewBatch(
  record: BatchRecord,
  { survey, now }: { readonly survey: BatchProgress; readonly now: number },
): Omit<BatchView, 'errors'> {
  const final = survey.finals.get(record.generation);
  const known = shardCount(record, survey);
  const total = record.items?.length ?? survey.plan?.total ?? 0;
  const failed = sum(survey.shards, 'failed');
  return {
    record,
    status: final?.outcome ?? runningStatus(record, { survey, known, now }),
    counts: { total, completed: sum(survey.shards, 'done') - failed, failed },
    final,
    plannedAt: record.items === undefined ? survey.plan?.at : Date.parse(record.createdAt),
    shards: countShards(survey.shards, { known: known ?? 0, generation: record.generation }),
  };
}

interface Running {
  readonly survey: BatchProgress;
  readonly known: number | undefined;
  readonly now: number;
}

/** Whether nobody works on a batch any more, though it has not ended. */
export function isStalled(
  { expiresAt, generation }: BatchRecord,
  { survey, now }: { readonly survey: BatchProgress; readonly now: number },
): boolean {
  return !survey.finals.has(generation) && now > Date.parse(expiresAt) + STALLED_AFTER_MS;
}

function runningStatus(record: BatchRecord, { survey, known, now }: Running): BatchStatus {
  if (isStalled(record, { survey, now })) return 'expired';
  if (record.cancelledAt !== null) return 'cancelling';
  if (known === undefined) return 'validating';
  const settled = survey.shards.filter((shard) => isSettled(shard, record.generation));
  return settled.length < known ? 'in_progress' : 'finalizing';
}

function countShards(
  shards: readonly ShardState[],
  { known, generation }: { readonly known: number; readonly generation: number },
): ShardCounts {
  const done = shards.filter((shard) => isSettled(shard, generation)).length;
  const open = shards.filter((shard) => !isSettled(shard, generation));
  const running = open.filter(({ isHeld }) => isHeld).length;
  return {
    total: known,
    done,
    running,
    waiting: known - done - running,
    interrupted: open.filter(({ isHeld, isLeft }) => !isHeld && !isLeft).length,
  };
}

function sum(shards: readonly ShardState[], field: 'done' | 'failed'): number {
  return shards.reduce((total, shard) => total + shard[field], 0);
}
