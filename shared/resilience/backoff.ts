export interface BackoffOptions {
  readonly initialMs: number;
  readonly maxMs: number;
  readonly random: () => number;
}

/** The least part of the ceiling that is waited: full jitter alone could retry at once. */
const LEAST_PART = 0.1;

/** Exponential back-off with full jitter; the first retry has number 0. */
export function backoffDelayMs(retry: number, options: BackoffOptions): number {
  const ceiling = Math.min(options.maxMs, options.initialMs * 2 ** retry);
  return ceiling * (LEAST_PART + (1 - LEAST_PART) * options.random());
}

/**
 * A wait that an upstream asked for, slightly stretched: never early (timers may fire a
 * millisecond too soon), and callers that were told the same time do not return as one wave.
 */
export function stretchedDelayMs(delayMs: number, random: () => number): number {
  return delayMs + 5 + random() * Math.min(100, delayMs / 4);
}
