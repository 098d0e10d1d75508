import type { MetricDefinition } from './metric-definition.ts';
import { type MetricName, METRICS, type ObservableName } from './metrics.ts';
import type { Meter } from './telemetry.ts';

/** Series of one metric; measurements beyond are counted as `other`. */
const MAX_SERIES = 200;
const MAX_VALUE_CHARS = 120;

type Attributes = Readonly<Record<string, string | number | boolean | undefined>>;

export interface Observation {
  readonly value: number;
  readonly attributes?: Attributes;
}

/** One combination of attribute values of a metric, with its measurements. */
interface Series {
  readonly attributes: readonly (readonly [name: string, value: string])[];
  /** The sum of a counter or histogram, or the value of a gauge. */
  value: number;
  /** Number of measurements; `buckets` holds the number in each bucket, not cumulated. */
  count: number;
  readonly buckets: number[];
}

interface MetricFamily {
  readonly definition: MetricDefinition;
  readonly series: readonly Series[];
}

/** Called with every measurement. */
type MeterListener = (metric: MetricName, value: number, attributes: Attributes) => void;

/** The metrics of this process. Used on every request, so recording allocates almost nothing. */
export interface MetricsRegistry extends Meter {
  /** Sets the function that reads an observable metric on each collection; replaces an earlier one. */
  registerCallback(metric: ObservableName, read: () => readonly Observation[]): void;
  collect(metric: ObservableName): readonly Observation[];
  subscribe(listener: MeterListener): void;
  families(): readonly MetricFamily[];
}

export function createMetricsRegistry(): MetricsRegistry {
  const families = new Map<MetricName, Map<string, Series>>();
  const callbacks = new Map<ObservableName, () => readonly Observation[]>();
  let listeners: readonly MeterListener[] = [];

  function seriesOf(metric: MetricName, attributes: Attributes): Series {
    let family = families.get(metric);
    if (family === undefined) families.set(metric, (family = new Map()));
    const key = keyOf(METRICS[metric], attributes);
    const existing = family.get(key);
    if (existing !== undefined) return existing;
    const target = family.size < MAX_SERIES ? { key, attributes } : overflow(METRICS[metric]);
    const series = family.get(target.key) ?? createSeries(METRICS[metric], target.attributes);
    family.set(target.key, series);
    return series;
  }

  function add(metric: MetricName, value: number, attributes: Attributes = {}): void {
    // NaN would make the sum NaN for ever.
    if (!Number.isFinite(value) || value < 0) return;
    const series = seriesOf(metric, attributes);
    series.value += value;
    series.count += 1;
    const bucket = bucketOf(METRICS[metric], value);
    series.buckets[bucket] = (series.buckets[bucket] ?? 0) + 1;
    for (const listener of listeners) listener(metric, value, attributes);
  }

  function collect(metric: ObservableName): readonly Observation[] {
    const observations = callbacks.get(metric)?.() ?? [];
    return observations.filter(({ value }) => Number.isFinite(value)).slice(0, MAX_SERIES);
  }

  return {
    count: add,
    record: add,
    registerCallback: (metric, read) => void callbacks.set(metric, read),
    collect,
    subscribe: (listener) => void (listeners = [...listeners, listener]),
    families() {
      const measured = [...families].map(([metric, series]) => ({
        definition: METRICS[metric],
        series: [...series.values()],
      }));
      const observed = [...callbacks.keys()].map((metric) => ({
        definition: METRICS[metric],
        series: collect(metric).map(({ value, attributes = {} }) =>
          createSeries(METRICS[metric], attributes, value),
        ),
      }));
      return [...measured, ...observed];
    },
  };
}

function keyOf({ attributes: names }: MetricDefinition, attributes: Attributes): string {
  let key = '';
  for (const name of names) key += `${String(attributes[name] ?? '')}\u0001`;
  return key;
}

function createSeries(definition: MetricDefinition, attributes: Attributes, value = 0): Series {
  const named = definition.attributes.flatMap((name) => {
    const given = attributes[name];
    return given === undefined ? [] : [[name, String(given).slice(0, MAX_VALUE_CHARS)] as const];
  });
  const buckets = definition.kind === 'histogram' ? definition.buckets.length + 1 : 0;
  return { attributes: named, value, count: 0, buckets: Array<number>(buckets).fill(0) };
}

function overflow(definition: MetricDefinition): { key: string; attributes: Attributes } {
  const attributes = Object.fromEntries(definition.attributes.map((name) => [name, 'other']));
  return { key: keyOf(definition, attributes), attributes };
}

/** The index of the first bucket whose bound is at least the value; the last bucket has no bound. */
function bucketOf(definition: MetricDefinition, value: number): number {
  if (definition.kind !== 'histogram') return 0;
  let index = 0;
  while (value > (definition.buckets[index] ?? Number.POSITIVE_INFINITY)) index += 1;
  return index;
}

/** The content type of the Prometheus text format. */
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

/** The Prometheus name of a metric: underscores for dots, with the unit appended. */
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
  let cumulated = 0;
  const lines = buckets.map((inBucket, index) => {
    cumulated += inBucket;
    const bound = bounds[index];
    const le = bound === undefined ? '+Inf' : String(bound);
    return `${name}_bucket${labels([...attributes, ['le', le]])} ${cumulated}`;
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
  return kind === 'counter' || kind === 'observable-counter';
}
