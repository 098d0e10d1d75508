import type { Attributes, Meter, ObservableResult } from '@opentelemetry/api';
import type { MetricDefinition } from '../metric-definition.ts';
import { METRICS, type MetricName, type ObservedName } from '../metrics.ts';
import type { MetricsRegistry } from '../metrics-registry.ts';

type Forward = (value: number, attributes: Attributes) => void;

/** Sends what the registry hears and sees on, so that nothing is measured twice. */
export function forwardMetrics(registry: MetricsRegistry, meter: Meter): void {
  const forwards = new Map<MetricName, Forward>();
  for (const name of Object.keys(METRICS) as MetricName[]) {
    const { kind }: MetricDefinition = METRICS[name];
    if (kind === 'counter' || kind === 'histogram') forwards.set(name, forwardTo(meter, name));
    else observe(meter, { name: name as ObservedName, registry });
  }
  registry.listen((metric, value, attributes) => forwards.get(metric)?.(value, attributes));
}

function forwardTo(meter: Meter, metric: MetricName): Forward {
  const { name, kind, unit, help, attributes: known }: MetricDefinition = METRICS[metric];
  const options = { unit, description: help };
  const pick = (attributes: Attributes): Attributes =>
    Object.fromEntries(
      known.flatMap((key) => (attributes[key] === undefined ? [] : [[key, attributes[key]]])),
    );
  if (kind === 'counter') {
    const counter = meter.createCounter(name, options);
    return (value, attributes) => counter.add(value, pick(attributes));
  }
  // Only sum, count, least and most arrive at the other end: buckets would be counted for nothing.
  const advice = { explicitBucketBoundaries: [] };
  const histogram = meter.createHistogram(name, { ...options, advice });
  return (value, attributes) => histogram.record(value, pick(attributes));
}

function observe(
  meter: Meter,
  { name, registry }: { readonly name: ObservedName; readonly registry: MetricsRegistry },
): void {
  const { kind, unit, help, name: publicName } = METRICS[name];
  const options = { unit, description: help };
  const instrument =
    kind === 'gauge'
      ? meter.createObservableGauge(publicName, options)
      : meter.createObservableCounter(publicName, options);
  instrument.addCallback((result: ObservableResult) => {
    for (const { value, attributes = {} } of registry.observed(name)) {
      result.observe(value, attributes);
    }
  });
}
