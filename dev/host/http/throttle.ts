import type { HttpConfig } from '../host-config.ts';

/** Gives the slot back. */
export type Release = () => void;

/** Limits how many requests run and wait at once, as host.json says. */
export interface Throttle {
  /** Undefined: refused. */
  enter(): Promise<Release> | Release | undefined;
}

export function createThrottle({
  maxConcurrentRequests,
  maxOutstandingRequests,
}: HttpConfig): Throttle {
  const maxRunning = maxConcurrentRequests === -1 ? Infinity : maxConcurrentRequests;
  const maxTotal = maxOutstandingRequests === -1 ? Infinity : maxOutstandingRequests;
  const waiting: (() => void)[] = [];
  let running = 0;
  const createRelease = (): Release => {
    let isHeld = true;
    return () => {
      if (!isHeld) return;
      isHeld = false;
      const next = waiting.shift();
      if (next === undefined) running -= 1;
      else next();
    };
  };
  return {
    enter() {
      if (running + waiting.length >= maxTotal) return undefined;
      if (running < maxRunning) {
        running += 1;
        return createRelease();
      }
      return new Promise((resolve) => void waiting.push(() => resolve(createRelease())));
    },
  };
}
