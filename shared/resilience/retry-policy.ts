import type { Clock } from '../clock.ts';

export interface BackoffOptions {
  readonly initialMs: number;
  readonly maxMs: number;
  readonly random: () => number;
}

/** Lower bound of the jitter, as a fraction: full jitter could retry at once. */
const MIN_JITTER = 0.1;

/** Exponential back-off with full jitter; the first retry has number 0. */
export function backoffDelayMs(retry: number, options: BackoffOptions): number {
  const ceiling = Math.min(options.maxMs, options.initialMs * 2 ** retry);
  return ceiling * (MIN_JITTER + (1 - MIN_JITTER) * options.random());
}

/**
 * Adds 5 to 105 ms to a wait that a server requested. Timers may fire a millisecond early, and
 * callers with the same Retry-After must not return at the same moment.
 */
export function withJitter(delayMs: number, random: () => number): number {
  return delayMs + 5 + random() * Math.min(100, delayMs / 4);
}

export interface RetryBudgetOptions {
  /** Retries per call, 0.2 for a fifth. */
  readonly ratio: number;
  readonly clock: Clock;
}

/** Limits the retries of a process, so that retries cannot multiply an overload. */
export interface RetryBudget {
  /** Adds `ratio` for a call that is not a retry. */
  deposit(): void;
  hasBalance(): boolean;
  /** Takes one retry; false where the balance is too low. */
  withdraw(): boolean;
}

/** Most retries that can be saved up: enough for a few failures in a row after a quiet time. */
const MAX_BALANCE = 10;
/** At low traffic the ratio adds almost nothing, so time adds to the balance too. */
const MIN_DEPOSIT_PER_SECOND = 0.5;

/** Each call adds `ratio`, or an amount for the time since the last call if that is more. */
export function createRetryBudget({ ratio, clock }: RetryBudgetOptions): RetryBudget {
  let balance = ratio > 0 ? MAX_BALANCE : 0;
  let lastDepositAt = clock.now();
  return {
    deposit() {
      const now = clock.now();
      const quietSeconds = Math.max(0, now - lastDepositAt) / 1000;
      lastDepositAt = now;
      if (ratio <= 0) return;
      balance = Math.min(
        MAX_BALANCE,
        balance + Math.max(ratio, quietSeconds * MIN_DEPOSIT_PER_SECOND),
      );
    },
    hasBalance: () => balance >= 1,
    withdraw() {
      if (balance < 1) return false;
      balance -= 1;
      return true;
    },
  };
}

/** Time limits, retries and capacities of model calls. All times in milliseconds. */
export interface ResilienceSettings {
  /** Attempts of one call over all endpoints together. */
  readonly maxAttempts: number;
  /** From the request to the whole response, where it is not streamed. */
  readonly attemptTimeoutMs: number;
  /** From the request to the first token, where the response is streamed. */
  readonly firstTokenTimeoutMs: number;
  /** Longest time between two tokens. Comments and keep-alives do not count as tokens. */
  readonly idleTimeoutMs: number;
  readonly backoffInitialMs: number;
  readonly backoffMaxMs: number;
  /** Retries per call, on average over time. */
  readonly retryBudgetRatio: number;
  /** Fewest failures in the window that open the circuit. */
  readonly breakerFailures: number;
  /** Calls in the sliding window of the circuit breaker. */
  readonly breakerWindowSize: number;
  readonly halfOpenAfterMs: number;
  readonly maxConcurrentPerEndpoint: number;
  readonly maxQueuedPerEndpoint: number;
  /** Largest whole response that is read, and most text that is kept of a streamed one. */
  readonly maxBodyBytes: number;
  /** Largest line and largest event of an event stream. */
  readonly maxLineBytes: number;
}

export const DEFAULT_RESILIENCE: ResilienceSettings = {
  // Two retries turn 20 % random failures into 0.8 %; a third one mostly adds load.
  maxAttempts: 3,
  // A response of a few thousand tokens takes up to half of this.
  attemptTimeoutMs: 30_000,
  // Long prompts and cold deployments start within ten seconds; twice that is an outage.
  firstTokenTimeoutMs: 20_000,
  // A healthy model emits several tokens per second.
  idleTimeoutMs: 10_000,
  // An overloaded endpoint needs longer than a quarter of a second to recover.
  backoffInitialMs: 250,
  backoffMaxMs: 4_000,
  // Retries must not turn an overload into a collapse: at most a fifth on top.
  retryBudgetRatio: 0.2,
  breakerFailures: 5,
  // Long enough that 20 % random failures are not an outage, short enough to adapt.
  breakerWindowSize: 12,
  halfOpenAfterMs: 30_000,
  // One worker process streams a few hundred responses without queueing delay.
  maxConcurrentPerEndpoint: 256,
  // A queue of half a second of work; a longer one only delays the rejection.
  maxQueuedPerEndpoint: 128,
  // 128,000 tokens of output are about half a megabyte of text.
  maxBodyBytes: 8 * 1024 * 1024,
  maxLineBytes: 1024 * 1024,
};
