import { abortReason } from './abort.ts';

export interface BulkheadOptions {
  readonly maxConcurrent: number;
  readonly maxQueued: number;
}

/** Frees a slot; further calls have no effect. */
export type ReleaseSlot = () => void;

/** Limits the concurrent calls to one endpoint, so that a slow one cannot occupy the process. */
export interface Bulkhead {
  hasRoom(): boolean;
  /** Waits in the queue for a slot; undefined where the queue is full. */
  acquire(signal: AbortSignal): Promise<ReleaseSlot | undefined>;
}

interface Waiter {
  admit(release: ReleaseSlot): void;
}

/** It hands out slots rather than running functions: a stream keeps its slot until it ends. */
export function createBulkhead({ maxConcurrent, maxQueued }: BulkheadOptions): Bulkhead {
  const waiting = new Set<Waiter>();
  let active = 0;

  function takeSlot(): ReleaseSlot {
    let isHeld = true;
    return () => {
      if (!isHeld) return;
      isHeld = false;
      const [next] = waiting;
      if (next === undefined) active -= 1;
      else {
        waiting.delete(next);
        next.admit(takeSlot());
      }
    };
  }

  function enqueue(signal: AbortSignal): Promise<ReleaseSlot> {
    return new Promise((resolve, reject) => {
      const waiter: Waiter = {
        admit(release) {
          signal.removeEventListener('abort', abort);
          resolve(release);
        },
      };
      function abort(): void {
        waiting.delete(waiter);
        reject(abortReason(signal));
      }
      waiting.add(waiter);
      signal.addEventListener('abort', abort, { once: true });
    });
  }

  return {
    hasRoom: () => active < maxConcurrent || waiting.size < maxQueued,
    async acquire(signal) {
      if (signal.aborted) throw abortReason(signal);
      if (active < maxConcurrent) {
        active += 1;
        return takeSlot();
      }
      return waiting.size < maxQueued ? enqueue(signal) : undefined;
    },
  };
}
