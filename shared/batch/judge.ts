import type { ErrorCode } from '../errors.ts';
import type { ItemOutcome } from './answer-item.ts';
import type { JournalEntry } from './journal.ts';
import { failed, type ItemPlace } from './result.ts';
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

/** What the journal says about a try: an end, or when to try again. */
export function judge(
  outcome: Exclude<ItemOutcome, { kind: 'stopped' }>,
  { place, index, failedBefore, now }: JudgeOptions,
): Extract<JournalEntry, { type: 'result' | 'attempt' }> {
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

/**
 * Whether a code means that there was no room, which is no fault of the item. An endpoint that is
 * away can also be one that this very item breaks: that counts as no room only when nobody else
 * got through meanwhile.
 */
export function isThrottling(code: ErrorCode): 'always' | 'when nobody got through' | 'never' {
  switch (code) {
    case 'upstream_rate_limited':
    case 'rate_limited':
    case 'budget_exhausted':
    case 'overloaded':
    case 'config_unavailable':
      return 'always';
    case 'upstream_unavailable':
      return 'when nobody got through';
    default:
      return 'never';
  }
}
