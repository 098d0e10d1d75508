import { availableParallelism, totalmem } from 'node:os';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import type { MetricsRegistry, Observation } from './metrics-registry.ts';

/** How finely lateness is told apart; finer costs processor time in an idle process. */
const DELAY_RESOLUTION_MS = 20;
const NANOSECONDS = 1e9;
const MICROSECONDS = 1e6;

/** The state of this process, looked at when somebody asks. Returns what ends the watching. */
export function observeProcess(registry: MetricsRegistry, { version }: { version: string }) {
  const delay = monitorEventLoopDelay({ resolution: DELAY_RESOLUTION_MS });
  delay.enable();
  const memory = memoryLimit();
  registry.observe('eventLoopDelay', () => {
    const seen = [
      { value: elapsedMs(delay.percentile(50)), attributes: { quantile: '0.5' } },
      { value: elapsedMs(delay.percentile(99)), attributes: { quantile: '0.99' } },
      { value: elapsedMs(delay.max), attributes: { quantile: '1' } },
    ];
    delay.reset();
    return seen;
  });
  registry.observe('memoryUsage', () => [{ value: process.memoryUsage.rss() }]);
  registry.observe('memoryUtilization', () => [{ value: process.memoryUsage.rss() / memory }]);
  registry.observe('cpuUtilization', observeProcessor());
  registry.observe('uptime', () => [{ value: process.uptime() }]);
  registry.observe('buildInfo', () => [
    { value: 1, attributes: { version, node: process.versions.node } },
  ]);
  return () => void delay.disable();
}

/** The histogram counts from one tick of its timer to the next, and has none before the first. */
function elapsedMs(nanoseconds: number): number {
  if (!Number.isFinite(nanoseconds)) return 0;
  return Math.max(0, nanoseconds / NANOSECONDS - DELAY_RESOLUTION_MS / 1_000);
}

/** What a container may use, where there is one, else what the machine has. */
function memoryLimit(): number {
  const constrained = process.constrainedMemory();
  return constrained > 0 && constrained < totalmem() ? constrained : totalmem();
}

function observeProcessor(): () => readonly Observation[] {
  let before = { at: performance.now(), used: process.cpuUsage() };
  return () => {
    const at = performance.now();
    const { user, system } = process.cpuUsage(before.used);
    const passed = Math.max(1, at - before.at) / 1_000;
    before = { at, used: process.cpuUsage() };
    return [{ value: (user + system) / MICROSECONDS / passed / availableParallelism() }];
  };
}
