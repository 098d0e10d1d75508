import { countLogLine } from './log-metrics.ts';
import type { LogFields, LogLevel, Meter, Span, Telemetry, Tracer } from './telemetry.ts';

/** One log line with its fields. */
export interface LogRecord {
  readonly level: LogLevel;
  readonly message: string;
  readonly fields: LogFields;
}

export type LogSink = (record: LogRecord) => void;

interface TelemetryOptions {
  readonly log: LogSink;
  readonly meter?: Meter;
  readonly tracer?: Tracer;
}

/** Combines a log sink, a meter and a tracer. */
export function createTelemetry(options: TelemetryOptions): Telemetry {
  return bindFields({ meter: noopMeter, tracer: noopTracer, ...options }, {});
}

function bindFields(options: Required<TelemetryOptions>, bound: LogFields): Telemetry {
  const { log, meter, tracer } = options;
  const logAt = (level: LogLevel) => (message: string, fields?: LogFields) => {
    const record = { level, message, fields: { ...bound, ...fields } };
    countLogLine(record, meter);
    log(record);
  };
  return {
    debug: logAt('debug'),
    info: logAt('info'),
    warn: logAt('warn'),
    error: logAt('error'),
    with: (fields) => bindFields(options, { ...bound, ...fields }),
    count: (metric, value, attributes) => meter.count(metric, value, attributes),
    record: (metric, value, attributes) => meter.record(metric, value, attributes),
    startSpan: (name, spanOptions) => tracer.startSpan(name, spanOptions),
  };
}

/** Records nothing. */
export const noopMeter: Meter = { count: () => undefined, record: () => undefined };

/** Traces nothing: children inherit the caller's parent context. */
export const noopTracer: Tracer = {
  startSpan: (_name, { parent }): Span => ({
    traceparent: parent,
    set: () => undefined,
    end: () => undefined,
  }),
};

/** Logs nothing: for calls that would only be noise, such as liveness probes. */
export const noopTelemetry: Telemetry = {
  ...noopMeter,
  ...noopTracer,
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  with: () => noopTelemetry,
};
