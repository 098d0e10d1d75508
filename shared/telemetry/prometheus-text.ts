import type { MetricDefinition } from './metric-definition.ts';
import type { MetricFamily, Series } from './metrics-registry.ts';

/** What a scraper is told that the text is. */
export const PROMETHEUS_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

const UNIT_ENDINGS: Readonly<Record<string, string>> = { s: '_seconds', By: '_bytes' };

/** The metrics of the process in the text format of Prometheus. */
export function toPrometheusText(families: readonly MetricFamily[]): string {
  return families
    .toSorted((one, other) => (one.definition.name < other.definition.name ? -1 : 1))
    .flatMap(({ definition, series }) => writeFamily(definition, series))
    .map((line) => `${line}\n`)
    .join('');
}

/** A metric's name as a scraper knows it: dots and the unit are spelled out. */
export function prometheusName({ name, unit, kind }: MetricDefinition): string {
  const base = name.replaceAll('.', '_') + (UNIT_ENDINGS[unit] ?? '');
  return isCounter(kind) ? `${base}_total` : base;
}

function writeFamily(definition: MetricDefinition, series: readonly Series[]): string[] {
  const name = prometheusName(definition);
  const type = isCounter(definition.kind) ? 'counter' : definition.kind;
  const heading = [`# HELP ${name} ${definition.help}`, `# TYPE ${name} ${type}`];
  const lines = series.flatMap((one) =>
    definition.kind === 'histogram'
      ? writeHistogram(one, { name, bounds: definition.buckets })
      : [`${name}${labels(one.attributes)} ${one.value}`],
  );
  return [...heading, ...lines];
}

function writeHistogram(
  { attributes, buckets, count, value }: Series,
  { name, bounds }: { readonly name: string; readonly bounds: readonly number[] },
): string[] {
  let upTo = 0;
  const lines = buckets.map((inBucket, index) => {
    upTo += inBucket;
    const bound = bounds[index];
    const le = bound === undefined ? '+Inf' : String(bound);
    return `${name}_bucket${labels([...attributes, ['le', le]])} ${upTo}`;
  });
  const plain = labels(attributes);
  return [...lines, `${name}_sum${plain} ${value}`, `${name}_count${plain} ${count}`];
}

function labels(attributes: readonly (readonly [string, string])[]): string {
  if (attributes.length === 0) return '';
  const pairs = attributes.map(
    ([name, value]) => `${name.replaceAll('.', '_')}="${escape(value)}"`,
  );
  return `{${pairs.join(',')}}`;
}

function escape(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('\n', '\\n').replaceAll('"', '\\"');
}

function isCounter(kind: MetricDefinition['kind']): boolean {
  return kind === 'counter' || kind === 'observed-counter';
}
