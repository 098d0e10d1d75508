import { abortReason } from './abort.ts';

export interface BulkheadOptions {
  readonly maxConcurrent: number;
  readonly maxQueued: number;
}

/** Gives a slot back; calling it twice gives back one. */
export type ReleaseSlot = () => void;

/** Bounds the calls that one endpoint has in flight, so that a slow one cannot hold everything. */
export interface Bulkhead {
  hasRoom(): boolean;
  /** A slot, at once or after waiting in line; undefined when the line is full. */
  enter(signal: AbortSignal): Promise<ReleaseSlot | undefined>;
}

interface Waiter {
  admit(leave: ReleaseSlot): void;
}

/** A bulkhead of slots rather than of functions: a stream keeps its slot until it has ended. */
export function createBulkhead({ maxConcurrent, maxQueued }: BulkheadOptions): Bulkhead {
  const waiting = new Set<Waiter>();
  let active = 0;

  function take(): ReleaseSlot {
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      const [next] = waiting;
      if (next === undefined) active -= 1;
      else {
        waiting.delete(next);
        next.admit(take());
      }
    };
  }

  function queue(signal: AbortSignal): Promise<ReleaseSlot> {
    return new Promise((resolve, reject) => {
      const waiter: Waiter = {
        admit(leave) {
          signal.removeEventListener('abort', giveUp);
          resolve(leave);
        },
      };
      function giveUp(): void {
        waiting.delete(waiter);
        reject(abortReason(signal));
      }
      waiting.add(waiter);
      signal.addEventListener('abort', giveUp, { once: true });
    });
  }

  return {
    hasRoom: () => active < maxConcurrent || waiting.size < maxQueued,
    async enter(signal) {
      if (signal.aborted) throw abortReason(signal);
      if (active < maxConcurrent) {
        active += 1;
        return take();
      }
      return waiting.size < maxQueued ? queue(signal) : undefined;
    },
  };
}
