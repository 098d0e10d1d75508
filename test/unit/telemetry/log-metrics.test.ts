import { globSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { COUNTED_LINES, createTelemetry } from '../../../shared/telemetry/create-telemetry.ts';
import {
  createMetricsRegistry,
  toPrometheusText,
} from '../../../shared/telemetry/metrics-registry.ts';
import { parsePrometheus, valueOf } from '../../support/parse-prometheus.ts';

const ROOMS = [
  'shared/model',
  'shared/batch',
  'shared/runs',
  'shared/config',
  'shared/secrets',
  'shared/redis',
  'shared/rate-limit',
];

function setUp() {
  const meter = createMetricsRegistry();
  const telemetry = createTelemetry({ log: () => undefined, meter });
  return { telemetry, read: () => parsePrometheus(toPrometheusText(meter.families())) };
}

describe('log lines that are counted', () => {
  it.each(Object.keys(COUNTED_LINES))('"%s" is logged somewhere', (message) => {
    const files = ROOMS.flatMap((room) => globSync(`${room}/**/*.ts`));
    const texts = files.map((file) => readFileSync(file, 'utf8'));

    expect(texts.some((text) => text.includes(`'${message}'`))).toBe(true);
  });

  it('count by endpoint and code, fields that were bound included', () => {
    const { telemetry, read } = setUp();

    telemetry
      .with({ endpoint: 'primary' })
      .info('model call retried', { code: 'upstream_timeout' });

    const labels = { agent_endpoint: 'primary', error_type: 'upstream_timeout' };
    expect(valueOf(read(), 'agent_model_retries_total', labels)).toBe(1);
  });

  it('count the reason of a rescheduled shard', () => {
    const { telemetry, read } = setUp();

    telemetry.info('batch shard rescheduled', { items: 7, delaySeconds: 2, reason: 'throttled' });

    const labels = { outcome: 'rescheduled', reason: 'throttled' };
    expect(valueOf(read(), 'agent_batch_shards_total', labels)).toBe(1);
  });

  it('do not count items of a batch again', () => {
    const { telemetry, read } = setUp();

    telemetry.info('batch finished', { jobId: 'one', succeeded: 7, failed: 2 });

    expect(read().size).toBe(0);
  });

  it('count a poisoned message and an exhausted shard alike', () => {
    const { telemetry, read } = setUp();

    telemetry.error('batch message poisoned');
    telemetry.error('batch shard exhausted');

    expect(valueOf(read(), 'agent_batch_poisoned_total')).toBe(2);
  });

  it('do not count other lines', () => {
    const { telemetry, read } = setUp();

    telemetry.info('request answered');
    telemetry.info('batch message rejected');

    expect([...read().keys()]).toEqual(['agent_batch_shards_total']);
  });
});
