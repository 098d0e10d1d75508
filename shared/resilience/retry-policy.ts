import type { Clock } from '../clock.ts';

export interface BackoffOptions {
  readonly initialMs: number;
  readonly maxMs: number;
  readonly random: () => number;
}

/** The least part of the ceiling that is waited: full jitter alone could retry at once. */
const MIN_JITTER = 0.1;

/** Exponential back-off with full jitter; the first retry has number 0. */
export function backoffDelayMs(retry: number, options: BackoffOptions): number {
  const ceiling = Math.min(options.maxMs, options.initialMs * 2 ** retry);
  return ceiling * (MIN_JITTER + (1 - MIN_JITTER) * options.random());
}

/**
 * A wait that an upstream asked for, slightly stretched: never early (timers may fire a
 * millisecond too soon), and callers that were told the same time do not return as one wave.
 */
export function withJitter(delayMs: number, random: () => number): number {
  return delayMs + 5 + random() * Math.min(100, delayMs / 4);
}

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

/** How patient and how stubborn model calls are. All times in milliseconds. */
export interface ResilienceSettings {
  /** Calls that one request may cost over all endpoints together. */
  readonly maxAttempts: number;
  /** From sending a request to its whole answer, where the answer is not streamed. */
  readonly attemptTimeoutMs: number;
  /** From sending a request to the first token, where the answer is streamed. */
  readonly firstTokenTimeoutMs: number;
  /** Longest wait between two tokens; comments and keep-alives are no tokens. */
  readonly idleTimeoutMs: number;
  readonly backoffInitialMs: number;
  readonly backoffMaxMs: number;
  /** Extra calls per call, over time. */
  readonly retryBudgetRatio: number;
  /** Failures in the window below which a circuit never opens. */
  readonly breakerFailures: number;
  /** Calls that a circuit remembers. */
  readonly breakerWindowSize: number;
  readonly halfOpenAfterMs: number;
  readonly maxConcurrentPerEndpoint: number;
  readonly maxQueuedPerEndpoint: number;
  /** Largest whole answer that is read, and most text of a streamed one that is kept. */
  readonly maxBodyBytes: number;
  /** Largest line, and largest event, of an event stream. */
  readonly maxLineBytes: number;
}

export const DEFAULT_RESILIENCE: ResilienceSettings = {
  // Two repeats turn 20 % random faults into 0.8 %; a third one mostly adds load.
  maxAttempts: 3,
  // A whole answer of some thousand tokens takes up to half of this.
  attemptTimeoutMs: 30_000,
  // Long prompts and cold deployments answer within ten seconds; twice that is an outage.
  firstTokenTimeoutMs: 20_000,
  // A model that is alive emits several tokens per second.
  idleTimeoutMs: 10_000,
  // Below a quarter of a second an overloaded upstream has not changed its mind.
  backoffInitialMs: 250,
  backoffMaxMs: 4_000,
  // Retries must not turn an overload into a collapse: at most a fifth on top.
  retryBudgetRatio: 0.2,
  breakerFailures: 5,
  // Long enough that one fault in five does not look like an outage, short enough to forget.
  breakerWindowSize: 12,
  halfOpenAfterMs: 30_000,
  // One worker process streams a few hundred answers without queueing delay.
  maxConcurrentPerEndpoint: 256,
  // A queue of half a second of work; behind it the caller does better elsewhere.
  maxQueuedPerEndpoint: 128,
  // 128,000 tokens of output are about half a megabyte of text.
  maxBodyBytes: 8 * 1024 * 1024,
  maxLineBytes: 1024 * 1024,
};
