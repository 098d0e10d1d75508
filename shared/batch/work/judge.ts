import type { ErrorCode } from '../../errors.ts';
import type { ItemOutcome } from './answer-item.ts';
import type { JournalEntry } from '../store/journal.ts';
import { failed, type ItemPlace } from '../job/result.ts';
import { isRefusal } from './refusals.ts';
import { retryAt } from './retry-times.ts';

/** Tries of one item before it is given up; in each of them the model's own retries were used. */
const MAX_ATTEMPTS = 5;

interface JudgeOptions {
  readonly place: ItemPlace;
  /** The item's place in its shard. */
  readonly index: number;
  readonly failedBefore: number;
  /** Milliseconds since the epoch. */
  readonly now: number;
}

/**
 * Refusals after which an item is given up all the same, for it may be what nobody can serve. While
 * everything is refused one item is asked every 15 s, by turns: so an item that no limit ever has
 * room for ends after an hour if it is alone, and an outage of ten minutes is survived by a single
 * item, one of an hour by six.
 */
const MAX_REFUSALS = 240;
const MAX_REFUSALS_OF_OUTAGE = 40;

type Judged<Type extends JournalEntry['type']> = Extract<JournalEntry, { type: Type }>;

interface RefusalOptions extends Omit<JudgeOptions, 'now'> {
  readonly refusedBefore: number;
}

/** What the journal says about a try in which nobody was served: a refusal, or the last one. */
export function judgeRefusal(
  { code }: Extract<ItemOutcome, { kind: 'try again' }>,
  { place, index, failedBefore, refusedBefore }: RefusalOptions,
): Judged<'result' | 'refused'> {
  const refusals = refusedBefore + 1;
  if (refusals < maxRefusals(code, failedBefore)) return { type: 'refused', index, code };
  const message = `The item failed ${failedBefore + refusals} times, at last with ${code}`;
  return { type: 'result', index, line: failed(place, 'exhausted', message) };
}

function maxRefusals(code: ErrorCode, failedBefore: number): number {
  if (isRefusal(code) === 'always') return MAX_REFUSALS;
  // It has failed where others got through: it may well be what the endpoint breaks at.
  return failedBefore > 0 ? MAX_ATTEMPTS - failedBefore : MAX_REFUSALS_OF_OUTAGE;
}

/** What the journal says about a try: an end, or when to try again. */
export function judge(
  outcome: Exclude<ItemOutcome, { kind: 'stopped' }>,
  { place, index, failedBefore, now }: JudgeOptions,
): Judged<'result' | 'attempt'> {
  if (outcome.kind === 'result') return { type: 'result', index, line: outcome.line };
  const { code, afterSeconds } = outcome;
  const failures = failedBefore + 1;
  if (failures < MAX_ATTEMPTS) {
    return {
      type: 'attempt',
      index,
      code,
      retryAt: retryAt(failures, { now, askedSeconds: afterSeconds }),
    };
  }
  const message = `The item failed ${failures} times, at last with ${code}`;
  return { type: 'result', index, line: failed(place, 'exhausted', message) };
}
