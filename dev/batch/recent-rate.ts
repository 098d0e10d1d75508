/** Long enough that the app's own reports, one a second, do not make it jump. */
const WINDOW_MS = 15_000;

/** How fast it goes now, whatever it did before: a stall or an earlier run must not count. */
export interface RecentRate {
  /** Notes how many are done, and says how many a second that makes; undefined when none was. */
  note(done: number, nowMs: number): number | undefined;
}

export function createRecentRate(): RecentRate {
  let changes: { readonly done: number; readonly atMs: number }[] = [];
  return {
    note(done, nowMs) {
      if (changes.at(-1)?.done !== done) changes.push({ done, atMs: nowMs });
      // The last change before the window is where the count within it begins.
      const before = changes.findLastIndex(({ atMs }) => atMs <= nowMs - WINDOW_MS);
      changes = changes.slice(Math.max(0, before));
      const [first = { done, atMs: nowMs }] = changes;
      const seconds = Math.min(nowMs - first.atMs, WINDOW_MS) / 1_000;
      return done > first.done && seconds > 0 ? (done - first.done) / seconds : undefined;
    },
  };
}
