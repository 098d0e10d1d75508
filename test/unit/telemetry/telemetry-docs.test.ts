import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { MetricDefinition } from '../../../shared/telemetry/metric-definition.ts';
import { METRICS } from '../../../shared/telemetry/metrics.ts';
import { prometheusName } from '../../../shared/telemetry/metrics-registry.ts';

function rowOf(metric: MetricDefinition): string {
  const attributes = metric.attributes.map((name) => `\`${name}\``).join(', ');
  const names = `| \`${metric.name}\` | \`${prometheusName(metric)}\` |`;
  return `${names} ${metric.kind} | ${metric.unit} | ${attributes} | ${metric.help} |`;
}

describe('docs/telemetry.md', () => {
  it('describes every metric of the table, in its words, and no other', () => {
    const rows = readFileSync('docs/telemetry.md', 'utf8')
      .split('\n')
      .filter((line) => /^\| `[a-z_.]+` \| `[a-z_]+` \|/.test(line));

    expect(rows).toEqual(Object.values(METRICS).map((metric) => rowOf(metric)));
  });
});
