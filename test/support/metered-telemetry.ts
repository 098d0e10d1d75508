import { createTelemetry } from '../../shared/telemetry/create-telemetry.ts';
import {
  createMetricsRegistry,
  toPrometheusText,
} from '../../shared/telemetry/metrics-registry.ts';
import type { SpanAttributes, Telemetry } from '../../shared/telemetry/telemetry.ts';
import { parsePrometheus, valueOf } from './parse-prometheus.ts';

export interface RecordedSpan {
  readonly name: string;
  readonly kind: string;
  readonly parent: string | undefined;
  readonly traceparent: string;
  attributes: SpanAttributes;
  code: string | undefined;
  ended: number;
}

export interface MeteredTelemetry {
  readonly telemetry: Telemetry;
  readonly spans: readonly RecordedSpan[];
  /** The messages of all log lines. */
  readonly lines: readonly string[];
  /** A number as a scraper would read it. */
  readonly value: (name: string, labels?: Readonly<Record<string, string>>) => number;
}

/** Telemetry that counts for real and keeps its spans. */
export function createMeteredTelemetry(): MeteredTelemetry {
  const meter = createMetricsRegistry();
  const spans: RecordedSpan[] = [];
  const lines: string[] = [];
  const telemetry = createTelemetry({
    log: ({ message }) => void lines.push(message),
    meter,
    tracer: {
      startSpan(name, { kind, parent, attributes = {} }) {
        const id = String(spans.length + 1).padStart(16, '0');
        const traceparent = `00-${(parent ?? '').slice(3, 35).padStart(32, '1')}-${id}-01`;
        const span = { name, kind, parent, traceparent, attributes, code: undefined, ended: 0 };
        const recorded: RecordedSpan = span;
        spans.push(recorded);
        return {
          traceparent,
          set: (more) => void (recorded.attributes = { ...recorded.attributes, ...more }),
          end(code) {
            // As everywhere: the first call counts.
            if (recorded.ended === 0) recorded.code = code;
            recorded.ended += 1;
          },
        };
      },
    },
  });
  return {
    telemetry,
    spans,
    lines,
    value: (name, labels) =>
      valueOf(parsePrometheus(toPrometheusText(meter.families())), name, labels),
  };
}
