/** Long enough to smooth the app's counts, which change once a second. */
const WINDOW_MS = 15_000;

/** The current rate: a stall or an earlier run does not count. */
export interface RecentRate {
  /** Records the number of done items; returns items per second, undefined if none finished. */
  update(done: number, nowMs: number): number | undefined;
}

export function createRecentRate(): RecentRate {
  let changes: { readonly done: number; readonly atMs: number }[] = [];
  return {
    update(done, nowMs) {
      if (changes.at(-1)?.done !== done) changes.push({ done, atMs: nowMs });
      // The count within the window begins at the last change before it.
      const before = changes.findLastIndex(({ atMs }) => atMs <= nowMs - WINDOW_MS);
      changes = changes.slice(Math.max(0, before));
      const [first = { done, atMs: nowMs }] = changes;
      const seconds = Math.min(nowMs - first.atMs, WINDOW_MS) / 1_000;
      return done > first.done && seconds > 0 ? (done - first.done) / seconds : undefined;
    },
  };
}
