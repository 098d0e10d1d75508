/**
 * The time of a storage, as its answers tell it. Instances whose own clocks differ, or are set, agree
 * on it: between two answers it goes on by the clock that nobody sets.
 */
export interface StoreTime {
  /** Takes the date of an answer that has just come. */
  hear(date: Date | undefined): void;
  /** Milliseconds since the epoch; undefined before the first answer. */
  now(): number | undefined;
}

/** A date has no fractions of a second, and its answer was on the way for a while. */
const LATE_MS = 2_000;

export function createStoreTime(monotonic = () => performance.now()): StoreTime {
  let ahead: number | undefined;
  return {
    hear(date) {
      if (date === undefined || Number.isNaN(date.getTime())) return;
      const heard = date.getTime() - monotonic();
      // Told late but never early, the latest is the nearest; much less is another time.
      if (ahead === undefined || heard > ahead || heard < ahead - LATE_MS) ahead = heard;
    },
    now: () => (ahead === undefined ? undefined : Math.round(ahead + monotonic())),
  };
}
