import {
  type Attributes,
  type Context,
  type Meter,
  type ObservableResult,
  ROOT_CONTEXT,
  type Span as OtelSpan,
  type SpanContext,
  SpanKind as OtelKind,
  SpanStatusCode,
  trace,
  TraceFlags,
  type Tracer as OtelTracer,
} from '@opentelemetry/api';
import { type AnyValueMap, type Logger, SeverityNumber } from '@opentelemetry/api-logs';
import {
  AUDIT,
  ID_FIELDS,
  type LogRecord,
  type LogSink,
  type Redact,
} from '../create-telemetry.ts';
import type { MetricDefinition } from '../metric-definition.ts';
import type { MetricsRegistry } from '../metrics-registry.ts';
import { type MetricName, METRICS, type ObservableName } from '../metrics.ts';
import { ATTRIBUTES, formatTraceparent, parseTraceparent } from '../spans.ts';
import type { LogFields, LogLevel, Span, SpanAttributes, SpanKind, Tracer } from '../telemetry.ts';

type MetricForwarder = (value: number, attributes: Attributes) => void;

/** Forwards every metric of the registry to OpenTelemetry, so that nothing is measured twice. */
export function forwardMetrics(registry: MetricsRegistry, meter: Meter): void {
  const forwards = new Map<MetricName, MetricForwarder>();
  for (const name of Object.keys(METRICS) as MetricName[]) {
    const { kind }: MetricDefinition = METRICS[name];
    if (kind === 'counter' || kind === 'histogram') forwards.set(name, forwardTo(meter, name));
    else observe(meter, { name: name as ObservableName, registry });
  }
  registry.subscribe((metric, value, attributes) => forwards.get(metric)?.(value, attributes));
}

function forwardTo(meter: Meter, metric: MetricName): MetricForwarder {
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
  // Application Insights stores sum, count, minimum and maximum, so buckets would be wasted.
  const advice = { explicitBucketBoundaries: [] };
  const histogram = meter.createHistogram(name, { ...options, advice });
  return (value, attributes) => histogram.record(value, pick(attributes));
}

function observe(
  meter: Meter,
  { name, registry }: { readonly name: ObservableName; readonly registry: MetricsRegistry },
): void {
  const { kind, unit, help, name: publicName } = METRICS[name];
  const options = { unit, description: help };
  const instrument =
    kind === 'gauge'
      ? meter.createObservableGauge(publicName, options)
      : meter.createObservableCounter(publicName, options);
  instrument.addCallback((result: ObservableResult) => {
    for (const { value, attributes = {} } of registry.collect(name)) {
      result.observe(value, attributes);
    }
  });
}

const SEVERITY: Readonly<Record<LogLevel, SeverityNumber>> = {
  debug: SeverityNumber.DEBUG,
  info: SeverityNumber.INFO,
  warn: SeverityNumber.WARN,
  error: SeverityNumber.ERROR,
};
const MAX_FIELD_CHARS = 2_000;

/** Emits log lines as records that belong to the span of their request. */
export function createLogSink(logger: Logger, redact: Redact): LogSink {
  return (record) => {
    const { level, message, fields } = record;
    const spanContext = spanOf(fields);
    logger.emit({
      severityNumber: SEVERITY[level],
      severityText: level,
      body: message,
      attributes: {
        ...toLogAttributes(fields, redact),
        ...exceptionOf(record),
        // The exporter writes records with this attribute to the table of events.
        ...(record.isAudit === true ? { 'microsoft.custom_event.name': AUDIT } : {}),
      },
      context:
        spanContext === undefined ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, spanContext),
    });
  };
}

function toLogAttributes(fields: LogFields, redact: Redact): AnyValueMap {
  const attributes: AnyValueMap = {};
  for (const [name, value] of Object.entries(fields)) {
    if (value === undefined || value === null) continue;
    const isText = typeof value === 'string' && !ID_FIELDS.has(name);
    attributes[name] = isText ? redact(value.slice(0, MAX_FIELD_CHARS)) : value;
  }
  return attributes;
}

/** The exception of a log line about a defect: its class, its stack frames and our message. */
function exceptionOf({ level, message, fields }: LogRecord): AnyValueMap {
  const { cause, place } = fields;
  if (level !== 'error' || typeof cause !== 'string' || typeof place !== 'string') return {};
  const [type = 'Error'] = cause.split(' ');
  return {
    'exception.type': type,
    'exception.message': message,
    'exception.stacktrace': place,
  };
}

function spanOf({ traceId, spanId }: LogFields) {
  if (typeof traceId !== 'string' || typeof spanId !== 'string') return undefined;
  return { traceId, spanId, traceFlags: TraceFlags.SAMPLED };
}

const KINDS: Readonly<Record<SpanKind, OtelKind>> = {
  server: OtelKind.SERVER,
  client: OtelKind.CLIENT,
  internal: OtelKind.INTERNAL,
};

/**
 * Creates spans with explicit parents. The active context of OpenTelemetry is lost in streams that
 * the platform reads.
 */
export function createSpanTracer(tracer: OtelTracer): Tracer {
  return {
    startSpan(name, { kind, parent, attributes = {}, startedAt }) {
      const options = {
        kind: KINDS[kind],
        attributes: toSpanAttributes(attributes),
        ...(startedAt === undefined ? {} : { startTime: startedAt }),
      };
      return toSpan(tracer.startSpan(name, options, contextOf(parent)));
    },
  };
}

function toSpan(span: OtelSpan): Span {
  let isOpen = true;
  return {
    traceparent: toTraceparent(span.spanContext()),
    set: (attributes) => void span.setAttributes(toSpanAttributes(attributes)),
    end(code) {
      if (!isOpen) return;
      isOpen = false;
      if (code !== undefined) {
        span.setAttributes({ [ATTRIBUTES.errorType]: code, [ATTRIBUTES.errorCode]: code });
        span.setStatus({ code: SpanStatusCode.ERROR });
      }
      span.end();
    },
  };
}

function contextOf(parent: string | undefined): Context {
  const parts = parseTraceparent(parent);
  if (parts === undefined) return ROOT_CONTEXT;
  const { traceId, spanId, flags } = parts;
  return trace.setSpanContext(ROOT_CONTEXT, { traceId, spanId, traceFlags: flags, isRemote: true });
}

function toSpanAttributes(attributes: SpanAttributes): Attributes {
  const known: Attributes = {};
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined) continue;
    known[name] = typeof value === 'object' ? [...value] : value;
  }
  return known;
}

function toTraceparent({ traceId, spanId, traceFlags: flags }: SpanContext): string {
  return formatTraceparent({ traceId, spanId, flags });
}
