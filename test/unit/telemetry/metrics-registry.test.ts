import { describe, expect, it } from 'vitest';
import { METRICS } from '../../../shared/telemetry/metrics.ts';
import {
  createMetricsRegistry,
  prometheusName,
  toPrometheusText,
} from '../../../shared/telemetry/metrics-registry.ts';
import { parsePrometheus, valueOf } from '../../support/parse-prometheus.ts';

function setUp() {
  const registry = createMetricsRegistry();
  return { registry, read: () => parsePrometheus(toPrometheusText(registry.families())) };
}

describe('createMetricsRegistry', () => {
  it('adds up what is counted, by its attributes', () => {
    const { registry, read } = setUp();

    registry.count('modelRetries', 1, { 'agent.endpoint': 'primary', 'error.type': 'x' });
    registry.count('modelRetries', 2, { 'agent.endpoint': 'primary', 'error.type': 'x' });
    registry.count('modelRetries', 4, { 'agent.endpoint': 'spare', 'error.type': 'x' });

    const families = read();
    expect(valueOf(families, 'agent_model_retries_total', { agent_endpoint: 'primary' })).toBe(3);
    expect(valueOf(families, 'agent_model_retries_total')).toBe(7);
  });

  it('puts a measurement into the buckets that reach it, the bound included', () => {
    const { registry, read } = setUp();
    const bucket = 'http_server_request_duration_seconds_bucket';

    registry.record('requestDuration', 0.1, { 'http.route': '/api/chat' });
    registry.record('requestDuration', 0.11, { 'http.route': '/api/chat' });
    registry.record('requestDuration', 1_000, { 'http.route': '/api/chat' });

    const families = read();
    expect(valueOf(families, bucket, { le: '0.05' })).toBe(0);
    expect(valueOf(families, bucket, { le: '0.1' })).toBe(1);
    expect(valueOf(families, bucket, { le: '0.25' })).toBe(2);
    expect(valueOf(families, bucket, { le: '+Inf' })).toBe(3);
    expect(valueOf(families, 'http_server_request_duration_seconds_sum')).toBeCloseTo(1_000.21);
  });

  it.each([Number.NaN, Number.POSITIVE_INFINITY, -1])('leaves out %s', (value) => {
    const { registry, read } = setUp();

    registry.count('batchPoisoned', value);
    registry.count('batchPoisoned', 1);

    expect(valueOf(read(), 'agent_batch_poisoned_total')).toBe(1);
  });

  it('reads observed numbers when metrics are collected', () => {
    const { registry, read } = setUp();
    let entries = 1;
    registry.registerCallback('memoryUsage', () => [{ value: entries }]);

    const before = valueOf(read(), 'process_memory_usage_bytes');
    entries = 5;

    expect([before, valueOf(read(), 'process_memory_usage_bytes')]).toEqual([1, 5]);
  });

  it('keeps a bounded number of series and loses no count', () => {
    const { registry, read } = setUp();

    for (let index = 0; index < 5_000; index += 1) {
      registry.count('requestErrors', 1, { 'http.route': `/${index}`, 'error.type': 'x' });
    }

    const samples = read().get('agent_request_errors_total')?.samples ?? [];
    expect(samples.length).toBeLessThanOrEqual(201);
    expect(valueOf(read(), 'agent_request_errors_total')).toBe(5_000);
    expect(valueOf(read(), 'agent_request_errors_total', { http_route: 'other' })).toBe(4_800);
  });

  it('keeps no attribute that the table does not name', () => {
    const { registry } = setUp();
    const attributes: Record<string, string> = { outcome: 'hit', callerId: 'caller-canary' };

    registry.count('rateLimitDecisions', 1, attributes);

    expect(toPrometheusText(registry.families())).not.toContain('canary');
  });

  it('writes attributes that hold quotes, backslashes and line feeds so that they can be read', () => {
    const { registry, read } = setUp();

    registry.count('rateLimitDecisions', 1, { outcome: 'a"b\\c\nd' });

    expect(valueOf(read(), 'agent_rate_limit_decisions_total')).toBe(1);
  });

  it('reports every measurement to listeners', () => {
    const { registry } = setUp();
    const heard: unknown[] = [];
    registry.subscribe((...measurement) => void heard.push(measurement));

    registry.record('batchMessageAge', 3);

    expect(heard).toEqual([['batchMessageAge', 3, {}]]);
  });
});

describe('METRICS', () => {
  const definitions = Object.values(METRICS);

  it('gives every metric a name of its own, in both spellings', () => {
    const names = definitions.map(({ name }) => name);
    const spelled = definitions.map((one) => prometheusName(one));

    expect(new Set(names).size).toBe(names.length);
    expect(new Set(spelled).size).toBe(names.length);
    expect(spelled.filter((name) => !/^[a-z][a-z0-9_]*$/.test(name))).toEqual([]);
  });

  it('has no attribute for callers or content', () => {
    const attributes = definitions.flatMap((one): readonly string[] => one.attributes);

    expect(
      attributes.filter((name) => /caller|user|session|request.id|message/.test(name)),
    ).toEqual([]);
  });
});
