import type { Plan } from '../model/plan.ts';
import type { BatchRecord } from '../model/batch-record.ts';
import type { ResultKind } from './read-results.ts';
import type { ShardHold, ShardRef } from './shard-lease.ts';
import type { Final, Survey } from './batch-progress.ts';

/** Keeps batches: whatever is in it is never computed or paid for again. */
export interface BatchStore {
  /** Keeps the record of a new batch; resolves to the earlier one where the id is taken. */
  begin(record: BatchRecord): Promise<BatchRecord>;
  /** Forgets a batch that nobody has begun to work on. */
  discard(record: BatchRecord): Promise<void>;
  find(id: string): Promise<BatchRecord | undefined>;
  /** Changes a record; tried again when somebody else changed it meanwhile. */
  change(
    id: string,
    change: (record: BatchRecord) => BatchRecord,
  ): Promise<BatchRecord | undefined>;
  isCancelled(record: BatchRecord): Promise<boolean>;
  /** The first plan of a batch counts. */
  keepPlan(id: string, plan: Plan): Promise<void>;
  plan(record: BatchRecord): Promise<Plan | undefined>;
  survey(id: string): Promise<Survey>;
  /** `busy`: another delivery works on the shard. */
  open(ref: ShardRef): Promise<ShardHold | 'busy'>;
  /** Result lines as they stand in the journals at this moment. */
  results(id: string, kind: ResultKind): AsyncIterable<string>;
  /** Writes the output files and then how the batch ended: each of them once. */
  finish(record: BatchRecord, final: Final): Promise<void>;
  /** Ids of the batches of an owner, newest first. */
  list(
    owner: string | null,
    page: ListPage,
  ): Promise<{ readonly ids: string[]; readonly hasMore: boolean }>;
  /** Keeps a message that cannot become a job, with the reason. */
  recordDeadLetter(letter: DeadLetter): Promise<void>;
  /** @throws when the store cannot be reached */
  ping(signal: AbortSignal): Promise<void>;
}

export interface ListPage {
  readonly after: BatchRecord | undefined;
  readonly limit: number;
}

export interface DeadLetter {
  readonly reason: string;
  /** The message as it was handed over. */
  readonly message: unknown;
  readonly jobId?: string | undefined;
}
