/** A number that only grows. */
interface CounterMetric extends MetricText {
  readonly kind: 'counter';
}
/** A distribution of measurements. */
interface HistogramMetric extends MetricText {
  readonly kind: 'histogram';
  readonly buckets: readonly number[];
}
/** A number that is read on each collection. */
interface ObservableMetric extends MetricText {
  readonly kind: 'gauge' | 'observable-counter';
}
interface MetricText {
  /** The OpenTelemetry name. */
  readonly name: string;
  readonly unit: '1' | 's' | 'By' | `{${string}}`;
  readonly help: string;
  /** Other attributes are dropped. */
  readonly attributes: readonly string[];
}
export type MetricDefinition = CounterMetric | HistogramMetric | ObservableMetric;

export const REQUEST_SECONDS = [
  0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 240,
] as const;
/** The buckets that the semantic conventions recommend for model calls, chunks and tokens. */
export const CALL_SECONDS = [
  0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92,
] as const;
export const CHUNK_SECONDS = [
  0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10,
] as const;
export const TOKENS = [
  1, 4, 16, 64, 256, 1_024, 4_096, 16_384, 65_536, 262_144, 1_048_576, 4_194_304,
] as const;
export const AGE_SECONDS = [1, 5, 15, 60, 300, 900, 3_600, 21_600, 86_400] as const;
export const STEPS = [1, 2, 3, 4, 6, 8, 12, 16, 32, 64] as const;
