import { CRASHES_THAT_STOP } from '../timings.ts';
import type { HostTimings } from '../timings.ts';

/** When a crashed worker is started again, and when none is any more. */
export interface RestartPolicy {
  /** Counts a crash; says how long to wait with the next start, or `stop`. */
  onCrash(now: number): { readonly delayMs: number } | 'stop';
  onRestart(now: number): void;
}

/** The first restart comes at once, the next no sooner than an interval later; the third crash is the last. */
export function createRestartPolicy(
  timings: Pick<HostTimings, 'restartIntervalMs' | 'crashWindowMs'>,
): RestartPolicy {
  let crashes: number[] = [];
  let lastRestartAt = -Infinity;
  return {
    onCrash(now) {
      crashes = [...crashes.filter((at) => now - at < timings.crashWindowMs), now];
      if (crashes.length >= CRASHES_THAT_STOP) return 'stop';
      return { delayMs: Math.max(0, lastRestartAt + timings.restartIntervalMs - now) };
    },
    onRestart(now) {
      lastRestartAt = now;
    },
  };
}
