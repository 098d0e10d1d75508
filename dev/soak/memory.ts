import { setTimeout as sleep } from 'node:timers/promises';
import { readMemoryMb } from '../bench/read-memory.ts';

/** Memory of the worker in MB. */
export interface MemoryFigures {
  /** The lowest resident memory after the warm-up, and at the end. */
  readonly warm: number;
  readonly last: number;
  /** Slope between the two, per minute. */
  readonly perMinute: number;
  /** What objects and buffers hold after a garbage collection, before and after the soak. */
  readonly liveBefore: number;
  readonly liveAfter: number;
}

export interface MemorySample {
  readonly minutes: number;
  readonly mb: number;
}

const EVERY_MS = 1_000;
/**
 * Resident memory goes up and down with the collections of garbage. What an attack leaves behind is
 * what the lowest samples have in common, so the slope is that of the lowest in each window.
 */
const WINDOWS = 10;
const WARM_UP_WINDOWS = 3;
const BYTES_PER_MB = 1_048_576;

export async function sampleMemory(
  pid: number,
  signal: AbortSignal,
): Promise<readonly MemorySample[]> {
  const samples: MemorySample[] = [];
  const startedAt = performance.now();
  while (!signal.aborted) {
    const mb = await readMemoryMb(pid);
    samples.push({ minutes: (performance.now() - startedAt) / 60_000, mb });
    await sleep(EVERY_MS, undefined, { signal }).catch(() => undefined);
  }
  return samples;
}

export function memoryFigures(
  samples: readonly MemorySample[],
  live: { readonly before: number; readonly after: number },
): MemoryFigures {
  const warm = lowestInWindows(samples).slice(WARM_UP_WINDOWS);
  return {
    warm: warm[0]?.mb ?? Number.NaN,
    last: warm.at(-1)?.mb ?? Number.NaN,
    perMinute: slopeOf(warm),
    liveBefore: live.before / BYTES_PER_MB,
    liveAfter: live.after / BYTES_PER_MB,
  };
}

function lowestInWindows(samples: readonly MemorySample[]): readonly MemorySample[] {
  const size = Math.max(1, Math.ceil(samples.length / WINDOWS));
  return Array.from({ length: WINDOWS }, (_, window) =>
    samples.slice(window * size, (window + 1) * size),
  ).flatMap((window) => window.toSorted((left, right) => left.mb - right.mb).slice(0, 1));
}

/** MB per minute, by least squares. */
export function slopeOf(samples: readonly MemorySample[]): number {
  const meanX = mean(samples.map(({ minutes }) => minutes));
  const meanY = mean(samples.map(({ mb }) => mb));
  const covariance = samples.map(({ minutes, mb }) => (minutes - meanX) * (mb - meanY));
  const variance = samples.map(({ minutes }) => (minutes - meanX) ** 2);
  return mean(covariance) / mean(variance);
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
