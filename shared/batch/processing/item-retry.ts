import { type ErrorCode, ServiceError } from '../../errors.ts';
import { errorAnswerLine, failureLine, type ItemPlace } from '../model/item.ts';
import type { AttemptOutcome, ThrottleReason } from './run-item.ts';
import {
  type Attempts,
  type JournalEntry,
  NO_THROTTLES,
  type ThrottleCounts,
} from '../storage/journal.ts';

/** Attempts at one item before it is exhausted; each of them includes the model's own retries. */
const MAX_ATTEMPTS = 5;
/**
 * Throttled attempts after which an item is marked exhausted, because the item itself may be the
 * cause. While the model refuses everything, one item is tried per 15 s, in turn. So an item that no
 * rate limit ever admits ends after an hour if it is alone. `suspect` holds for an item that failed
 * with the same code while others succeeded: it ends after minutes, and so does a suspect item in an
 * outage that lasts that long.
 */
const MAX_THROTTLES = { capacity: 240, unavailable: 40, suspect: 10 } as const;

interface FailedItem {
  readonly place: ItemPlace;
  /** The item's index in its shard. */
  readonly index: number;
  /** Failed attempts so far, without throttled ones. */
  readonly attempts: Attempts | undefined;
  /** Epoch milliseconds. */
  readonly now: number;
}

interface ThrottledItem extends Omit<FailedItem, 'now'> {
  readonly reason: ThrottleReason;
  readonly throttles: ThrottleCounts | undefined;
}

type EntryOf<Type extends JournalEntry['type']> = Extract<JournalEntry, { type: Type }>;

/** The journal entry for a throttled attempt: another throttle, or the item is exhausted. */
export function decideThrottledRetry(
  { code, requestId }: Extract<AttemptOutcome, { kind: 'retry' }>,
  { place, index, attempts, reason, throttles = NO_THROTTLES }: ThrottledItem,
): EntryOf<'result' | 'throttled'> {
  const isSuspect = reason === 'unavailable' && attempts?.lastCode === code;
  const limit = MAX_THROTTLES[isSuspect ? 'suspect' : reason];
  if (throttles[reason] + 1 < limit) return { type: 'throttled', index, code, reason };
  const failures = (attempts?.count ?? 0) + throttles.unavailable + throttles.capacity + 1;
  return exhausted({ place, index, failures, code, requestId });
}

/** The journal entry for an attempt: its result, or the time of the next attempt. */
export function decideItemRetry(
  outcome: AttemptOutcome,
  { place, index, attempts, now }: FailedItem,
): EntryOf<'result' | 'attempt'> {
  if (outcome.kind === 'result') return { type: 'result', index, line: outcome.line };
  const { code, retryAfterSeconds, requestId } = outcome;
  const failures = (attempts?.count ?? 0) + 1;
  if (failures >= MAX_ATTEMPTS) return exhausted({ place, index, failures, code, requestId });
  return { type: 'attempt', index, code, retryAt: retryAt(failures, { now, retryAfterSeconds }) };
}

interface ExhaustedItem {
  readonly place: ItemPlace;
  readonly index: number;
  readonly failures: number;
  /** The code of the last answer, and the request that got it. */
  readonly code: ErrorCode;
  readonly requestId: string;
}

function exhausted({ place, index, failures, code, requestId }: ExhaustedItem): EntryOf<'result'> {
  const message = `The item failed ${failures} times, at last with ${code}`;
  const { response } = errorAnswerLine(place, new ServiceError(code, message), requestId);
  const line = { ...failureLine(place, 'exhausted', message), response };
  return { type: 'result', index, line };
}

const FIRST_DELAY_SECONDS = 5;
const MAX_DELAY_SECONDS = 300;
/** Items that are nearly due run in the same pass, instead of costing a delivery each. */
const DUE_TOLERANCE_MS = 2_000;

/** When an item that failed `failures` times is tried again, in epoch milliseconds. */
export function retryAt(
  failures: number,
  {
    now,
    retryAfterSeconds = 0,
  }: { readonly now: number; readonly retryAfterSeconds?: number | undefined },
): number {
  const seconds = Math.max(retryAfterSeconds, FIRST_DELAY_SECONDS * 2 ** (failures - 1));
  return Math.ceil(now + Math.min(seconds, MAX_DELAY_SECONDS) * 1_000);
}

/** An item without a time is due, and so is one whose time a wrong clock set too far ahead. */
export function isDue(time: number | undefined, now: number): boolean {
  return (
    time === undefined || time <= now + DUE_TOLERANCE_MS || time > now + MAX_DELAY_SECONDS * 1_000
  );
}

/** Whole seconds until the first of the items is due; 0 if one is due now. */
export function secondsUntilDue(times: Iterable<number | undefined>, now: number): number {
  let earliest = Infinity;
  for (const time of times) {
    if (time === undefined || isDue(time, now)) return 0;
    earliest = Math.min(earliest, time);
  }
  return earliest === Infinity ? 0 : Math.ceil((earliest - now) / 1_000);
}
