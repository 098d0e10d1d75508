import { describe, expect, it } from 'vitest';
import {
  createMetricsRegistry,
  toPrometheusText,
} from '../../../shared/telemetry/metrics-registry.ts';
import { observeProcess } from '../../../shared/telemetry/process-metrics.ts';
import { parsePrometheus, valueOf } from '../../support/parse-prometheus.ts';

describe('observeProcess', () => {
  it('reports memory, processor time, uptime, event loop delay and version', () => {
    const registry = createMetricsRegistry();

    const stop = observeProcess(registry, { version: 'abc', commit: 'def' });

    const families = parsePrometheus(toPrometheusText(registry.families()));
    stop();
    expect(valueOf(families, 'process_memory_usage_bytes')).toBeGreaterThan(1_000_000);
    expect(valueOf(families, 'process_memory_utilization')).toBeGreaterThan(0);
    expect(valueOf(families, 'process_memory_utilization')).toBeLessThan(1);
    expect(valueOf(families, 'process_cpu_utilization')).toBeGreaterThanOrEqual(0);
    expect(valueOf(families, 'process_uptime_seconds')).toBeGreaterThan(0);
    expect(valueOf(families, 'agent_build_info', { version: 'abc', commit: 'def' })).toBe(1);
    expect(families.get('nodejs_eventloop_delay_seconds')?.samples).toHaveLength(3);
  });

  it('reports a blocked event loop', async () => {
    const registry = createMetricsRegistry();
    const stop = observeProcess(registry, { version: 'abc', commit: 'def' });
    const nextTick = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 60));
    await nextTick();

    const until = performance.now() + 200;
    while (performance.now() < until);
    await nextTick();

    const longest = registry
      .collect('eventLoopDelay')
      .find(({ attributes }) => attributes?.['quantile'] === '1');
    stop();
    expect(longest?.value).toBeGreaterThan(0.05);
  });
});
