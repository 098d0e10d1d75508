import * as z from 'zod';
import {
  outcomeFields,
  type RecordedStep,
  stepFields,
  withOutcome,
  withStep,
} from '../../agent/step-journal.ts';
import { resultLineSchema } from '../model/item.ts';
import { parseJson } from '../../json.ts';

const entrySchema = z.discriminatedUnion('type', [
  z.object({ type: z.literal('job'), digest: z.string(), total: z.int(), createdAt: z.string() }),
  /** A delivery is about to call the model. */
  z.object({ type: z.literal('opened') }),
  /** That delivery ended normally, with items left. */
  z.object({ type: z.literal('closed') }),
  z.object({ type: z.literal('result'), index: z.int(), line: resultLineSchema }),
  /** An attempt failed; the next one starts at `retryAt`, in epoch milliseconds, or later. */
  z.object({ type: z.literal('attempt'), index: z.int(), code: z.string(), retryAt: z.int() }),
  /** An attempt was throttled together with the attempts of other items. */
  z.object({
    type: z.literal('throttled'),
    index: z.int(),
    code: z.string(),
    reason: z.enum(['capacity', 'unavailable']),
  }),
  /** The model answered a step that calls tools; the calls in `once` are about to begin. */
  z.object({ type: z.literal('step'), index: z.int(), ...stepFields }),
  /** A tool call of a step ended. */
  z.object({ type: z.literal('tool'), index: z.int(), ...outcomeFields }),
  /** The platform moved the message to the poison queue, and it was requeued. */
  z.object({ type: z.literal('poisoned'), results: z.int() }),
  /** The failed items are open again. */
  z.object({ type: z.literal('reopened'), generation: z.int() }),
]);

/** One line of a journal. */
export type JournalEntry = z.infer<typeof entrySchema>;

/** Failed attempts at one item. */
export interface Attempts {
  readonly count: number;
  readonly lastCode: string;
  readonly retryAt: number;
}

/** Throttled attempts at one item, by reason. */
export interface ThrottleCounts {
  readonly capacity: number;
  readonly unavailable: number;
}

export const NO_THROTTLES: ThrottleCounts = { capacity: 0, unavailable: 0 };

/** The state of a shard that its journal describes, without the results themselves. */
export interface JournalView {
  readonly digest: string;
  /** By the item's index in the shard. Only the first result of an item counts. */
  readonly results: ReadonlyMap<number, 'succeeded' | 'failed'>;
  readonly attempts: ReadonlyMap<number, Attempts>;
  readonly throttles: ReadonlyMap<number, ThrottleCounts>;
  /** The finished steps of items without a result, and of failed items whose tools had an effect. */
  readonly steps: ReadonlyMap<number, readonly RecordedStep[]>;
  /** Characters of all steps since the journal began. */
  readonly stepChars: number;
  /** Throttled attempts at all items since the journal began. */
  readonly totalThrottles: number;
  readonly generation: number;
  /** Deliveries in a row that ended without a `closed` entry, a new result or a new step. */
  readonly crashes: number;
  /** Times in a row that the message was poisoned, without a new result in between. */
  readonly poisonCount: number;
  /** Invalid lines. They count as not written: at worst an item is processed again. */
  readonly invalidLines: number;
}

export interface JournalReader {
  /** Reads the next line. Returns its entry, unless it is a repeated result. */
  add(line: string): JournalEntry | undefined;
  /** Applies an entry that was just written. */
  apply(entry: JournalEntry): void;
  /** Undefined if the journal has no first line: the shard was never opened. */
  view(): JournalView | undefined;
}

/** Reads a journal line by line into its view. */
export function createJournalReader(): JournalReader {
  const results = new Map<number, 'succeeded' | 'failed'>();
  const attempts = new Map<number, Attempts>();
  const throttles = new Map<number, ThrottleCounts>();
  const runs = createRunSteps();
  let digest: string | undefined;
  const counts = { generation: 0, crashes: 0, poisonCount: 0, invalidLines: 0, totalThrottles: 0 };
  /** Returns false for a repeated result. */
  function apply(entry: JournalEntry): boolean {
    runs.apply(entry);
    switch (entry.type) {
      case 'job':
        digest ??= entry.digest;
        return true;
      case 'opened':
        counts.crashes += 1;
        return true;
      case 'closed':
      case 'step':
      case 'tool':
        counts.crashes = 0;
        return true;
      case 'poisoned':
        counts.poisonCount += 1;
        return true;
      case 'reopened':
        Object.assign(counts, { generation: entry.generation, crashes: 0, poisonCount: 0 });
        attempts.clear();
        throttles.clear();
        for (const [index, outcome] of results) if (outcome === 'failed') results.delete(index);
        return true;
      case 'attempt':
        attempts.set(entry.index, nextAttempts(attempts.get(entry.index), entry));
        return true;
      case 'throttled':
        counts.totalThrottles += 1;
        throttles.set(entry.index, increment(throttles.get(entry.index), entry.reason));
        return true;
      case 'result':
        counts.crashes = 0;
        counts.poisonCount = 0;
        if (results.has(entry.index)) return false;
        results.set(entry.index, entry.line.error === null ? 'succeeded' : 'failed');
        return true;
    }
  }
  return {
    add(line) {
      if (line === '') return undefined;
      const entry = entrySchema.safeParse(parseJson(line)).data;
      if (entry !== undefined) return apply(entry) ? entry : undefined;
      counts.invalidLines += 1;
      return undefined;
    },
    apply: (entry) => void apply(entry),
    view() {
      if (digest === undefined) return undefined;
      return { digest, results, attempts, throttles, ...runs.view(), ...counts };
    },
  };
}

type EntryOf<Type extends JournalEntry['type']> = Extract<JournalEntry, { type: Type }>;

/** The finished steps of the runs, by item. */
function createRunSteps() {
  const steps = new Map<number, readonly RecordedStep[]>();
  let stepChars = 0;
  function addStep(entry: EntryOf<'step'>): void {
    stepChars += JSON.stringify(entry.response).length;
    steps.set(entry.index, withStep(steps.get(entry.index) ?? [], entry));
  }
  function addOutcome(entry: EntryOf<'tool'>): void {
    stepChars += entry.output.length;
    steps.set(entry.index, withOutcome(steps.get(entry.index) ?? [], entry));
  }
  /** A failed item that is opened again must not repeat the effects of its tools. */
  function end({ index, line }: EntryOf<'result'>): void {
    const hasEffect = steps.get(index)?.some(({ once }) => once.length > 0);
    if (line.error === null || hasEffect !== true) steps.delete(index);
  }
  return {
    apply(entry: JournalEntry): void {
      if (entry.type === 'step') addStep(entry);
      if (entry.type === 'tool') addOutcome(entry);
      if (entry.type === 'result') end(entry);
    },
    view: () => ({ steps, stepChars }),
  };
}

function nextAttempts(
  previous: Attempts | undefined,
  { code, retryAt }: Extract<JournalEntry, { type: 'attempt' }>,
): Attempts {
  return { count: (previous?.count ?? 0) + 1, lastCode: code, retryAt };
}

function increment(
  counts: ThrottleCounts = NO_THROTTLES,
  reason: keyof ThrottleCounts,
): ThrottleCounts {
  return { ...counts, [reason]: counts[reason] + 1 };
}
