import { digestOf } from '../../../shared/batch/job.ts';
import { readJournal, type JournalEntry } from '../../../shared/batch/journal.ts';
import type { DeadLetter, ResultStore } from '../../../shared/batch/result-store.ts';

export interface MemoryStore extends ResultStore {
  readonly deadLetters: readonly DeadLetter[];
  /** Every line of a journal, in order. */
  entries(jobId: string): JournalEntry[];
  /** Writes lines as an earlier delivery would have. */
  write(jobId: string, entries: readonly JournalEntry[]): void;
  /** Takes the hold away, as storage does when a lease was not renewed. */
  loseHold(jobId: string): void;
  isHeld(jobId: string): boolean;
  /** From now on every append and every open fails, until it is called with undefined. */
  breakWith(error: Error | undefined): void;
}

/** A result store in memory that keeps real journals. */
export function createMemoryStore(): MemoryStore {
  const journals = new Map<string, string>();
  const holds = new Map<string, AbortController>();
  const deadLetters: DeadLetter[] = [];
  let failure: Error | undefined;
  const check = (): void => {
    if (failure !== undefined) throw failure;
  };
  const write = (jobId: string, entries: readonly JournalEntry[]): void => {
    const lines = entries.map((entry) => `${JSON.stringify(entry)}\n`).join('');
    journals.set(jobId, (journals.get(jobId) ?? '') + lines);
  };
  return {
    deadLetters,
    async open(job) {
      await Promise.resolve();
      check();
      const { jobId } = job;
      if (holds.has(jobId)) return 'busy';
      const digest = digestOf(job);
      if (readJournal(jobId, journals.get(jobId) ?? '') === undefined) {
        const createdAt = new Date(0).toISOString();
        write(jobId, [{ type: 'job', digest, total: job.items.length, createdAt }]);
      }
      const view = readJournal(jobId, journals.get(jobId) ?? '');
      if (view?.digest !== digest) return 'conflict';
      const hold = new AbortController();
      holds.set(jobId, hold);
      return {
        view,
        lost: hold.signal,
        async append(entry) {
          await Promise.resolve();
          check();
          if (holds.get(jobId) !== hold) throw new Error('The hold is gone');
          write(jobId, [entry]);
        },
        async release() {
          if (holds.get(jobId) === hold) holds.delete(jobId);
        },
      };
    },
    read: async (jobId) => readJournal(jobId, journals.get(jobId) ?? ''),
    async recordDeadLetter(letter) {
      check();
      deadLetters.push(letter);
    },
    async ping() {
      check();
    },
    entries: (jobId) => parseLines(journals.get(jobId) ?? ''),
    write,
    loseHold(jobId) {
      const hold = holds.get(jobId);
      holds.delete(jobId);
      hold?.abort(new Error('The hold on the job was lost'));
    },
    isHeld: (jobId) => holds.has(jobId),
    breakWith(error) {
      failure = error;
    },
  };
}

function parseLines(text: string): JournalEntry[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line): JournalEntry => JSON.parse(line));
}
