import { COUNTED_MESSAGES } from './log-metrics.ts';
import type { LogFields, LogLevel, Meter, Span, Telemetry, Tracer } from './telemetry.ts';

/** One thing that happened, with everything that is known of it. */
export interface LogRecord {
  readonly level: LogLevel;
  readonly message: string;
  readonly fields: LogFields;
}

export type LogSink = (record: LogRecord) => void;

export interface TelemetryParts {
  readonly log: LogSink;
  readonly meter?: Meter;
  readonly tracer?: Tracer;
}

/** Telemetry out of what writes lines, what counts and what traces. */
export function createTelemetry(parts: TelemetryParts): Telemetry {
  return bind({ meter: silentMeter, tracer: passThroughTracer, ...parts }, {});
}

function bind(parts: Required<TelemetryParts>, bound: LogFields): Telemetry {
  const { log, meter, tracer } = parts;
  const say = (level: LogLevel) => (message: string, fields?: LogFields) => {
    const all = { ...bound, ...fields };
    COUNTED_MESSAGES[message]?.(meter, all);
    log({ level, message, fields: all });
  };
  return {
    debug: say('debug'),
    info: say('info'),
    warn: say('warn'),
    error: say('error'),
    with: (fields) => bind(parts, { ...bound, ...fields }),
    count: (metric, value, attributes) => meter.count(metric, value, attributes),
    record: (metric, value, attributes) => meter.record(metric, value, attributes),
    startSpan: (name, options) => tracer.startSpan(name, options),
  };
}

/** Counts nothing. */
export const silentMeter: Meter = { count: () => undefined, record: () => undefined };

/** Traces nothing: what would belong to a piece of work belongs to what that belongs to. */
export const passThroughTracer: Tracer = {
  startSpan: (_name, { parent }): Span => ({
    traceparent: parent,
    set: () => undefined,
    end: () => undefined,
  }),
};
