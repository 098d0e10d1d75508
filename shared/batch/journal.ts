import * as z from 'zod';
import { resultLineSchema, type JobView, type ResultLine } from './result.ts';

const entrySchema = z.discriminatedUnion('type', [
  z.object({ type: z.literal('job'), digest: z.string(), total: z.int(), createdAt: z.string() }),
  /** A delivery is about to ask the model. */
  z.object({ type: z.literal('opened') }),
  /** That delivery let go of the job in good order, with items left. */
  z.object({ type: z.literal('closed') }),
  z.object({ type: z.literal('result'), index: z.int(), line: resultLineSchema }),
  /** A try that failed for now; not before `retryAt`, in milliseconds since the epoch, again. */
  z.object({ type: z.literal('attempt'), index: z.int(), code: z.string(), retryAt: z.int() }),
]);

/** One line of a job's journal. */
export type JournalEntry = z.infer<typeof entrySchema>;

/** Failed tries of one item. */
export interface Attempts {
  readonly count: number;
  readonly lastCode: string;
  readonly retryAt: number;
}

/** What a journal says about its job so far, to those who go on with it. */
export interface JournalView extends JobView {
  readonly attempts: ReadonlyMap<number, Attempts>;
  /** Deliveries in a row that ended without a word and without one new result. */
  readonly crashes: number;
  /** Lines that say nothing to us. They count as not written: at worst an item is asked again. */
  readonly unreadable: number;
}

/** Reads a journal. `undefined` while it has no first line: the job was never begun. */
export function readJournal(jobId: string, text: string): JournalView | undefined {
  const results = new Map<number, ResultLine>();
  const attempts = new Map<number, Attempts>();
  let head: Extract<JournalEntry, { type: 'job' }> | undefined;
  let crashes = 0;
  let unreadable = 0;
  for (const line of text.split('\n')) {
    if (line === '') continue;
    const entry = parseEntry(line);
    if (entry === undefined) unreadable += 1;
    else if (entry.type === 'job') head ??= entry;
    else if (entry.type === 'opened') crashes += 1;
    else if (entry.type === 'closed') crashes = 0;
    else if (entry.type === 'result') {
      crashes = 0;
      if (!results.has(entry.index)) results.set(entry.index, entry.line);
    } else {
      const count = (attempts.get(entry.index)?.count ?? 0) + 1;
      attempts.set(entry.index, { count, lastCode: entry.code, retryAt: entry.retryAt });
    }
  }
  if (head === undefined) return undefined;
  const { digest, createdAt, total } = head;
  return { jobId, digest, createdAt, total, results, attempts, crashes, unreadable };
}

function parseEntry(line: string): JournalEntry | undefined {
  try {
    return entrySchema.safeParse(JSON.parse(line)).data;
  } catch {
    return undefined;
  }
}
