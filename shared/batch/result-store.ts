import type { Job } from './job.ts';
import type { JournalEntry, JournalView } from './journal.ts';
import type { JobView } from './result.ts';

/** Keeps one journal for each job: whatever is in it is never computed or paid for again. */
export interface ResultStore {
  /**
   * Takes hold of a job, beginning its journal when this is the first delivery.
   * `busy`: another delivery works on it. `conflict`: the id belongs to a job with other items.
   */
  open(job: Job): Promise<JobHold | 'busy' | 'conflict'>;
  read(jobId: string): Promise<JobView | undefined>;
  /** Keeps a message that cannot become a job, with the reason. */
  recordDeadLetter(letter: DeadLetter): Promise<void>;
  /** @throws when the store cannot be reached */
  ping(signal: AbortSignal): Promise<void>;
}

/** The sole right to write one job's journal, until released or lost. */
export interface JobHold {
  readonly view: JournalView;
  /** Aborts when the hold was lost: another delivery may write now, and we cannot. */
  readonly lost: AbortSignal;
  /** Resolves when the entry is durable. */
  append(entry: JournalEntry): Promise<void>;
  release(): Promise<void>;
}

export interface DeadLetter {
  readonly reason: string;
  /** The message as it was handed over. */
  readonly message: unknown;
  readonly jobId?: string | undefined;
}
