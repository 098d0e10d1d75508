/** Longest uninterrupted run of CPU-bound work, in ms. */
const SLICE_MS = 5;

/** Splits CPU-bound work into slices between which other work of the process runs. */
export interface TimeSlice {
  /** Whether the current slice has used its time; then call `next` before going on. */
  isOver(): boolean;
  /** Resolves when the next slice may start. */
  next(): Promise<void>;
}

let waiting: (() => void)[] = [];

/**
 * Creates the slices of one task. All tasks of the process share one queue, and each turn of the
 * event loop runs one slice. So a request that takes several turns is delayed by a few slices,
 * however many tasks there are.
 */
export function createTimeSlice(sliceMs = SLICE_MS): TimeSlice {
  let startedAt = performance.now();
  return {
    isOver: () => performance.now() - startedAt >= sliceMs,
    next() {
      const { promise, resolve } = Promise.withResolvers<void>();
      if (waiting.length === 0) setImmediate(startNextSlice);
      waiting.push(() => {
        startedAt = performance.now();
        resolve();
      });
      return promise;
    },
  };
}

function startNextSlice(): void {
  const [start, ...others] = waiting;
  waiting = others;
  if (waiting.length > 0) setImmediate(startNextSlice);
  start?.();
}
