/** How long to wait until the next look into a queue that was empty. */
export interface PollingInterval {
  /** The wait after a look; finding something sets it back to the shortest. */
  next(found: boolean): number;
}

export interface PollingOptions {
  readonly minMs: number;
  readonly maxMs: number;
  /** Between 0 and 1. */
  readonly random?: () => number;
}

/** Waits grow exponentially, spread by a fifth so that many hosts do not look at once. */
export function createPollingInterval({
  minMs,
  maxMs,
  random = Math.random,
}: PollingOptions): PollingInterval {
  let current = Math.min(minMs, maxMs);
  let exponent = 1;
  return {
    next(found) {
      if (found) {
        current = Math.min(minMs, maxMs);
        exponent = 1;
      } else if (current < maxMs) {
        const step = minMs * (0.8 + 0.4 * random()) * (2 ** exponent - 1);
        current = Math.min(maxMs, minMs + step);
        exponent += 1;
      }
      return current;
    },
  };
}
