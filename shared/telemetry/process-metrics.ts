import { availableParallelism, totalmem } from 'node:os';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { MetricsRegistry, Observation } from './metrics-registry.ts';

/** A finer resolution would cost CPU time in an idle process. */
const DELAY_RESOLUTION_MS = 20;
const NANOSECONDS = 1e9;
const MICROSECONDS = 1e6;

/** Registers the metrics of this process. Returns a function that stops the measurement. */
export function observeProcess(
  registry: MetricsRegistry,
  { version, commit }: { readonly version: string; readonly commit: string },
) {
  const delay = monitorEventLoopDelay({ resolution: DELAY_RESOLUTION_MS });
  delay.enable();
  const memory = memoryLimit();
  registry.registerCallback('eventLoopDelay', () => {
    const delays = [
      { value: elapsedMs(delay.percentile(50)), attributes: { quantile: '0.5' } },
      { value: elapsedMs(delay.percentile(99)), attributes: { quantile: '0.99' } },
      { value: elapsedMs(delay.max), attributes: { quantile: '1' } },
    ];
    delay.reset();
    return delays;
  });
  registry.registerCallback('memoryUsage', () => [{ value: process.memoryUsage.rss() }]);
  registry.registerCallback('memoryUtilization', () => [
    { value: process.memoryUsage.rss() / memory },
  ]);
  registry.registerCallback('cpuUtilization', readCpuUtilization());
  registry.registerCallback('uptime', () => [{ value: process.uptime() }]);
  registry.registerCallback('buildInfo', () => [
    { value: 1, attributes: { version, commit, node: process.versions.node } },
  ]);
  return () => void delay.disable();
}

/** The histogram records the time between two timer ticks and holds NaN before the first one. */
function elapsedMs(nanoseconds: number): number {
  if (!Number.isFinite(nanoseconds)) return 0;
  return Math.max(0, nanoseconds / NANOSECONDS - DELAY_RESOLUTION_MS / 1_000);
}

/** The memory limit of the container, or the memory of the machine. */
function memoryLimit(): number {
  const constrained = process.constrainedMemory();
  return constrained > 0 && constrained < totalmem() ? constrained : totalmem();
}

function readCpuUtilization(): () => readonly Observation[] {
  let last = { at: performance.now(), usage: process.cpuUsage() };
  return () => {
    const at = performance.now();
    const { user, system } = process.cpuUsage(last.usage);
    const elapsedSeconds = Math.max(1, at - last.at) / 1_000;
    last = { at, usage: process.cpuUsage() };
    const usedSeconds = (user + system) / MICROSECONDS;
    return [{ value: usedSeconds / elapsedSeconds / availableParallelism() }];
  };
}
