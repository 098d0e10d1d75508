import { failureLine, type ItemPlace } from '../model/item.ts';
import type { ItemOutcome, ThrottleReason } from './run-item.ts';
import {
  type Attempts,
  type JournalEntry,
  NO_THROTTLES,
  type ThrottleCounts,
} from '../storage/journal.ts';

/** Tries of one item before it is given up; in each of them the model's own retries were used. */
const MAX_ATTEMPTS = 5;
/**
 * Refusals after which an item is given up all the same, for it may be what nobody can serve. While
 * everything is refused one item is asked every 15 s or more, by turns. So an item that no limit ever
 * has room for ends after an hour if it is alone. One that an endpoint breaks at ends after some
 * minutes, if it was seen to fail where others got through; and so does an item that is cut off by
 * an outage, if it is alone and the outage lasts.
 */
const MAX_THROTTLED_ATTEMPTS = { 'no room': 240, away: 40, 'away, and suspect': 10 } as const;

interface ItemFailure {
  readonly place: ItemPlace;
  /** The item's place in its shard. */
  readonly index: number;
  /** What it has failed at by itself so far. */
  readonly attempts: Attempts | undefined;
  /** Milliseconds since the epoch. */
  readonly now: number;
}

interface ThrottledItem extends Omit<ItemFailure, 'now'> {
  readonly why: ThrottleReason;
  readonly refusals: ThrottleCounts | undefined;
}

type ItemRetryDecision<Type extends JournalEntry['type']> = Extract<JournalEntry, { type: Type }>;

/** What the journal says about a try in which nobody was served: a refusal, or the last one. */
export function decideThrottledRetry(
  { code }: Extract<ItemOutcome, { kind: 'try again' }>,
  { place, index, attempts, why, refusals = NO_THROTTLES }: ThrottledItem,
): ItemRetryDecision<'result' | 'refused'> {
  const isSuspect = why === 'away' && attempts?.lastCode === code;
  const limit = MAX_THROTTLED_ATTEMPTS[isSuspect ? 'away, and suspect' : why];
  if (refusals[why] + 1 < limit) return { type: 'refused', index, code, why };
  const failures = (attempts?.count ?? 0) + refusals.away + refusals['no room'] + 1;
  const message = `The item failed ${failures} times, at last with ${code}`;
  return { type: 'result', index, line: failureLine(place, 'exhausted', message) };
}

/** What the journal says about a try: an end, or when to try again. */
export function decideItemRetry(
  outcome: Exclude<ItemOutcome, { kind: 'stopped' }>,
  { place, index, attempts, now }: ItemFailure,
): ItemRetryDecision<'result' | 'attempt'> {
  if (outcome.kind === 'result') return { type: 'result', index, line: outcome.line };
  const { code, afterSeconds } = outcome;
  const failures = (attempts?.count ?? 0) + 1;
  if (failures < MAX_ATTEMPTS) {
    return {
      type: 'attempt',
      index,
      code,
      retryAt: retryAt(failures, { now, askedSeconds: afterSeconds }),
    };
  }
  const message = `The item failed ${failures} times, at last with ${code}`;
  return { type: 'result', index, line: failureLine(place, 'exhausted', message) };
}

const FIRST_DELAY_SECONDS = 5;
const MAX_DELAY_SECONDS = 300;
/** Items that are nearly due go along, instead of costing a delivery each. */
const DUE_TOLERANCE_MS = 2_000;

/** When an item that failed `failures` times is to be tried again. */
export function retryAt(
  failures: number,
  { now, askedSeconds = 0 }: { readonly now: number; readonly askedSeconds?: number | undefined },
): number {
  const seconds = Math.max(askedSeconds, FIRST_DELAY_SECONDS * 2 ** (failures - 1));
  return Math.ceil(now + Math.min(seconds, MAX_DELAY_SECONDS) * 1_000);
}

/** Without a time an item is due. So it is when the time cannot be true: another clock was wrong. */
export function isDue(time: number | undefined, now: number): boolean {
  return (
    time === undefined || time <= now + DUE_TOLERANCE_MS || time > now + MAX_DELAY_SECONDS * 1_000
  );
}

/** Until the first of the items is due; 0 when one of them is. */
export function secondsUntilDue(times: Iterable<number | undefined>, now: number): number {
  let earliest = Infinity;
  for (const time of times) {
    if (time === undefined || isDue(time, now)) return 0;
    earliest = Math.min(earliest, time);
  }
  return earliest === Infinity ? 0 : Math.ceil((earliest - now) / 1_000);
}
