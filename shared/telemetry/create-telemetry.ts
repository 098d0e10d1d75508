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
  return bind({ meter: noopMeter, tracer: noopTracer, ...parts }, {});
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
export const noopMeter: Meter = { count: () => undefined, record: () => undefined };

/** Traces nothing: what would belong to a piece of work belongs to what that belongs to. */
export const noopTracer: Tracer = {
  startSpan: (_name, { parent }): Span => ({
    traceparent: parent,
    set: () => undefined,
    end: () => undefined,
  }),
};

/** Says nothing: for parts whose every call would be noise, such as liveness probes. */
export const noopTelemetry: Telemetry = {
  ...noopMeter,
  ...noopTracer,
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  with: () => noopTelemetry,
};

/** What a log line counts as. */
type CountedMessage = (meter: Meter, fields: LogFields) => void;

/**
 * Log lines that are counted too. A message is fixed text and says that something has happened, so
 * the rooms tell it once, and the log and the metrics cannot differ.
 */
export const COUNTED_MESSAGES: Readonly<Record<string, CountedMessage>> = {
  'model call retried': (meter, fields) => meter.count('modelRetries', 1, failureLabelOf(fields)),
  'model call failed over': (meter, fields) =>
    meter.count('modelFailovers', 1, failureLabelOf(fields)),
  'model call failed': (meter, fields) => meter.count('modelFailures', 1, failureLabelOf(fields)),
  'model circuit opened': (meter, { endpoint }) =>
    meter.count('circuitOpened', 1, { 'agent.endpoint': toMetricValue(endpoint) }),
  'rate limit would refuse': (meter) => meter.count('limiterVerdicts', 1, { outcome: 'observed' }),
  'batch item failed': (meter, { code }) =>
    meter.count('batchItemFailures', 1, { 'error.type': toMetricValue(code) }),
  'batch shard finished': shard('finished'),
  'batch delivery failed': shard('failed'),
  'batch shard handed over': (meter, { reason }) =>
    meter.count('batchShards', 1, { outcome: 'handed over', reason: toMetricValue(reason) }),
  'batch shard is held by another delivery': shard('held elsewhere'),
  'batch message refused': shard('refused'),
  'batch job expired': shard('expired'),
  'batch job given up'(meter) {
    meter.count('batchShards', 1, { outcome: 'given up' });
    meter.count('batchPoisoned', 1);
  },
  'batch message poisoned': (meter) => meter.count('batchPoisoned', 1),
  'key vault does not answer': (meter) => meter.count('secretsFailures', 1),
  'changed secrets not taken over': (meter) => meter.count('secretsFailures', 1),
  'redis failed': (meter) => meter.count('redisFailures', 1),
};

function shard(outcome: string): CountedMessage {
  return (meter) => meter.count('batchShards', 1, { outcome });
}

function failureLabelOf({ endpoint, code }: LogFields) {
  return { 'agent.endpoint': toMetricValue(endpoint), 'error.type': toMetricValue(code) };
}

function toMetricValue(value: LogFields[string]): string | undefined {
  return typeof value === 'string' ? value : undefined;
}
