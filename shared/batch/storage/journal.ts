import * as z from 'zod';
import { resultLineSchema } from '../model/item.ts';
import { parseJson } from '../../json.ts';

const entrySchema = z.discriminatedUnion('type', [
  z.object({ type: z.literal('job'), digest: z.string(), total: z.int(), createdAt: z.string() }),
  /** A delivery is about to ask the model. */
  z.object({ type: z.literal('opened') }),
  /** That delivery let go of the job in good order, with items left. */
  z.object({ type: z.literal('closed') }),
  z.object({ type: z.literal('result'), index: z.int(), line: resultLineSchema }),
  /** A try that failed for now; not before `retryAt`, in milliseconds since the epoch, again. */
  z.object({ type: z.literal('attempt'), index: z.int(), code: z.string(), retryAt: z.int() }),
  /** A try that says nothing about the item: nobody was served. */
  z.object({
    type: z.literal('refused'),
    index: z.int(),
    code: z.string(),
    why: z.enum(['no room', 'away']),
  }),
  /** The platform gave the message up; it was put back because there had been progress. */
  z.object({ type: z.literal('poisoned'), results: z.int() }),
  /** The failed items begin again. */
  z.object({ type: z.literal('reopened'), generation: z.int() }),
]);

/** One line of a journal. */
export type JournalEntry = z.infer<typeof entrySchema>;

/** Failed tries of one item. */
export interface Attempts {
  readonly count: number;
  readonly lastCode: string;
  readonly retryAt: number;
}

/** Tries of one item in which nobody was served, by the reason. */
export interface ThrottleCounts {
  readonly 'no room': number;
  readonly away: number;
}

export const NO_THROTTLES: ThrottleCounts = { 'no room': 0, away: 0 };

/** What a journal says about its shard so far, to those who go on with it. No answers in it. */
export interface JournalView {
  readonly digest: string;
  /** By the item's place in the shard. The first result of an item counts; there is no second. */
  readonly results: ReadonlyMap<number, 'succeeded' | 'failed'>;
  readonly attempts: ReadonlyMap<number, Attempts>;
  /** How often an item was refused together with everybody. */
  readonly refusals: ReadonlyMap<number, ThrottleCounts>;
  /** Of all items since the journal began. */
  readonly allRefusals: number;
  readonly generation: number;
  /** Deliveries in a row that ended without a word and without one new result. */
  readonly crashes: number;
  /** Times in a row that the platform gave its message up without one new result in between. */
  readonly poisonings: number;
  /** Lines that say nothing to us. They count as not written: at worst an item is asked again. */
  readonly unreadable: number;
}

export interface JournalReader {
  /** Takes the next line, and says whether it is the result of its item. */
  add(line: string): JournalEntry | undefined;
  /** Takes an entry that was just written. */
  take(entry: JournalEntry): void;
  /** `undefined` while there was no first line: the shard was never begun. */
  view(): JournalView | undefined;
}

/** Reads a journal line by line and keeps what it means, not what it says. */
export function createJournalReader(): JournalReader {
  const results = new Map<number, 'succeeded' | 'failed'>();
  const attempts = new Map<number, Attempts>();
  const refusals = new Map<number, ThrottleCounts>();
  let digest: string | undefined;
  const counts = { generation: 0, crashes: 0, poisonings: 0, unreadable: 0, allRefusals: 0 };
  function take(entry: JournalEntry): boolean {
    switch (entry.type) {
      case 'job':
        digest ??= entry.digest;
        return true;
      case 'opened':
        counts.crashes += 1;
        return true;
      case 'closed':
        counts.crashes = 0;
        return true;
      case 'poisoned':
        counts.poisonings += 1;
        return true;
      case 'reopened':
        counts.generation = entry.generation;
        counts.crashes = 0;
        counts.poisonings = 0;
        attempts.clear();
        refusals.clear();
        for (const [index, what] of results) if (what === 'failed') results.delete(index);
        return true;
      case 'attempt':
        attempts.set(entry.index, nextAttempt(attempts.get(entry.index), entry));
        return true;
      case 'refused':
        counts.allRefusals += 1;
        refusals.set(entry.index, oneMore(refusals.get(entry.index), entry.why));
        return true;
      case 'result':
        counts.crashes = 0;
        counts.poisonings = 0;
        if (results.has(entry.index)) return false;
        results.set(entry.index, entry.line.error === null ? 'succeeded' : 'failed');
        return true;
    }
  }
  return {
    add(line) {
      if (line === '') return undefined;
      const entry = entrySchema.safeParse(parseJson(line)).data;
      if (entry !== undefined) return take(entry) ? entry : undefined;
      counts.unreadable += 1;
      return undefined;
    },
    take: (entry) => void take(entry),
    view() {
      if (digest === undefined) return undefined;
      return { digest, results, attempts, refusals, ...counts };
    },
  };
}

function nextAttempt(
  before: Attempts | undefined,
  { code, retryAt }: Extract<JournalEntry, { type: 'attempt' }>,
): Attempts {
  return { count: (before?.count ?? 0) + 1, lastCode: code, retryAt };
}

function oneMore(before: ThrottleCounts = NO_THROTTLES, why: keyof ThrottleCounts): ThrottleCounts {
  return { ...before, [why]: before[why] + 1 };
}
