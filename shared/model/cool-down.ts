import type { Clock } from '../clock.ts';
import type { ErrorCode } from '../errors.ts';

/** An endpoint may ask for a rest; that lasts until a time and answers with a code meanwhile. */
export interface CoolDown {
  readonly until: number;
  readonly code: ErrorCode;
  /** Whether the upstream named the time itself. */
  readonly isNamed: boolean;
}

/** The longest rest that is taken, and the longest wait that is passed on to callers. */
export const MAX_COOL_DOWN_MS = 300_000;

/** The rest of an endpoint, as far as one kind of callers must keep it. */
export interface KeptCoolDown {
  current(): CoolDown | undefined;
  /** The longer of two rests counts. */
  take(next: CoolDown): void;
}

export function createCoolDown(clock: Clock): KeptCoolDown {
  let cooling: CoolDown | undefined;
  function current(): CoolDown | undefined {
    const now = clock.now();
    // Over, or further away than any rest can be: then the clock was set back.
    if (cooling && (cooling.until <= now || cooling.until > now + MAX_COOL_DOWN_MS)) {
      cooling = undefined;
    }
    return cooling;
  }
  return {
    current,
    take(next) {
      cooling = laterOf(current(), next);
    },
  };
}

export function laterOf(
  one: CoolDown | undefined,
  other: CoolDown | undefined,
): CoolDown | undefined {
  if (one === undefined || other === undefined) return one ?? other;
  return other.until > one.until ? other : one;
}
