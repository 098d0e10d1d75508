import type { Clock } from '../clock.ts';

export interface RetryBudgetOptions {
  /** Extra calls allowed per call, 0.2 for a fifth. */
  readonly ratio: number;
  readonly clock: Clock;
}

/** Bounds the extra calls of a whole process, so that retries cannot multiply an overload. */
export interface RetryBudget {
  /** Counts a call that is no retry. */
  deposit(): void;
  /** Takes one retry out of the budget; false when nothing is left. */
  withdraw(): boolean;
}

/** Saved-up retries: enough for a few unlucky calls in a row after a quiet time. */
const MAX_BALANCE = 10;
/** With little traffic a fifth of it is nothing, so quiet time pays in as well. */
const FLOOR_PER_SECOND = 0.5;

/** A bucket that each call fills by `ratio`, or by the time since the last call if that is more. */
export function createRetryBudget({ ratio, clock }: RetryBudgetOptions): RetryBudget {
  let balance = ratio > 0 ? MAX_BALANCE : 0;
  let lastDepositAt = clock.now();
  return {
    deposit() {
      const now = clock.now();
      const quietSeconds = Math.max(0, now - lastDepositAt) / 1000;
      lastDepositAt = now;
      if (ratio <= 0) return;
      balance = Math.min(MAX_BALANCE, balance + Math.max(ratio, quietSeconds * FLOOR_PER_SECOND));
    },
    withdraw() {
      if (balance < 1) return false;
      balance -= 1;
      return true;
    },
  };
}
