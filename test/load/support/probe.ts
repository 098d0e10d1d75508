import { setTimeout as delay } from 'node:timers/promises';
import { percentile } from '../../../dev/faults/steady-load.ts';

/** Latencies in ms of a request that is repeated, one after the other, while something else runs. */
export interface Latencies {
  readonly count: number;
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

export interface Probe {
  /** Latencies since the last call. */
  take(): Latencies;
  stop(): void;
}

const PAUSE_MS = 5;

/** Repeats a request until it is stopped. A request that fails counts as very slow. */
export function startProbe(send: () => Promise<unknown>): Probe {
  const stopped = new AbortController();
  let taken: number[] = [];
  async function repeat(): Promise<void> {
    while (!stopped.signal.aborted) {
      const startedAt = performance.now();
      const ok = await send().then(
        () => true,
        () => false,
      );
      taken.push(ok ? performance.now() - startedAt : Number.POSITIVE_INFINITY);
      await delay(PAUSE_MS);
    }
  }
  void repeat();
  return {
    take() {
      const values = taken;
      taken = [];
      return {
        count: values.length,
        p50: Math.round(percentile(values, 0.5)),
        p99: Math.round(percentile(values, 0.99)),
        max: Math.round(Math.max(0, ...values)),
      };
    },
    stop: () => stopped.abort(),
  };
}
