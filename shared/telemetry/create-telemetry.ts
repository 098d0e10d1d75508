import type { LogFields, LogLevel, Meter, Span, Telemetry, Tracer } from './telemetry.ts';
import type { Clock } from '../clock.ts';

/** One log line with its fields. */
export interface LogRecord {
  readonly level: LogLevel;
  readonly message: string;
  readonly fields: LogFields;
  /** Belongs to the audit log. */
  readonly isAudit?: true;
}

/** The message of each line of the audit log, and the name of its events. */
export const AUDIT = 'audit';

/** Removes secrets and personal data from a text. */
export type Redact = (text: string) => string;

/**
 * Log fields that hold nothing but our own ids, hashes and templates of routes, which may look like
 * numbers.
 */
export const ID_FIELDS: ReadonlySet<string> = new Set([
  'action',
  'caller',
  'route',
  'spanId',
  'traceId',
]);

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
    audit: (fields) =>
      log({ level: 'info', message: AUDIT, fields: { ...bound, ...fields }, isAudit: true }),
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
    isRecording: false,
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
  audit: () => undefined,
  with: () => noopTelemetry,
};

interface LogLine {
  readonly message: string;
  readonly fields: LogFields;
}

/** Counts a log line if it is one of those below, so that the log and the metrics never differ. */
export function countLogLine({ message, fields }: LogLine, meter: Meter): void {
  COUNTED_LINES[message]?.(meter, fields);
}

type CountLine = (meter: Meter, fields: LogFields) => void;

/** Log message to metric. Messages are fixed text, so a rename here and at the call is complete. */
export const COUNTED_LINES: Readonly<Record<string, CountLine>> = {
  'model call retried': (meter, fields) => meter.count('modelRetries', 1, failureOf(fields)),
  'model call failed over': (meter, fields) => meter.count('modelFailovers', 1, failureOf(fields)),
  'model call failed': (meter, fields) => meter.count('modelFailures', 1, failureOf(fields)),
  'model circuit opened': (meter, { endpoint }) =>
    meter.count('circuitOpened', 1, { 'agent.endpoint': toAttribute(endpoint) }),
  'rate limit would refuse': (meter) =>
    meter.count('rateLimitDecisions', 1, { outcome: 'observed' }),
  'batch item failed': (meter, { code }) =>
    meter.count('batchItemFailures', 1, { 'error.type': toAttribute(code) }),
  'batch shard finished': countShard('finished'),
  'batch delivery failed': countShard('failed'),
  'batch shard rescheduled': (meter, { reason }) =>
    meter.count('batchShards', 1, { outcome: 'rescheduled', reason: toAttribute(reason) }),
  'batch shard lease busy': countShard('lease_busy'),
  'batch message rejected': countShard('rejected'),
  'batch shard expired': countShard('expired'),
  'batch shard exhausted'(meter) {
    meter.count('batchShards', 1, { outcome: 'exhausted' });
    meter.count('batchPoisoned', 1);
  },
  'batch message poisoned': (meter) => meter.count('batchPoisoned', 1),
  'run requeued': countRunDelivery('requeued'),
  'run redelivered': countRunDelivery('redelivered'),
  'run delivery failed': countRunDelivery('failed'),
  'run lease busy': countRunDelivery('lease_busy'),
  'run message rejected': countRunDelivery('rejected'),
  'run ended': (meter, { outcome, code }) =>
    meter.count('backgroundRuns', 1, {
      outcome: toAttribute(outcome),
      'error.type': toAttribute(code),
    }),
  'run message poisoned': (meter) => meter.count('backgroundPoisoned', 1),
  'key vault failed': (meter) => meter.count('secretsFailures', 1),
  'secret change handler failed': (meter) => meter.count('secretsFailures', 1),
  'redis failed': (meter) => meter.count('redisFailures', 1),
};

function countShard(outcome: string): CountLine {
  return (meter) => meter.count('batchShards', 1, { outcome });
}

function countRunDelivery(outcome: string): CountLine {
  return (meter) => meter.count('backgroundDeliveries', 1, { outcome });
}

function failureOf({ endpoint, code }: LogFields) {
  return { 'agent.endpoint': toAttribute(endpoint), 'error.type': toAttribute(code) };
}

function toAttribute(value: LogFields[string]): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

const LEVELS: readonly LogLevel[] = ['debug', 'info', 'warn', 'error'];
const MAX_FIELD_CHARS = 2_000;

interface ConsoleLoggerOptions {
  readonly clock: Clock;
  /** Lines below this level are dropped. */
  readonly minLevel: LogLevel;
  /** Receives one line without its line feed. */
  readonly write: (line: string, level: LogLevel) => void;
  /** Redacts text values. Without it nothing is redacted. */
  readonly redact?: Redact;
}

/** Structured logs: one JSON object per line, whatever characters the values contain. */
export function createConsoleLogger(options: ConsoleLoggerOptions): Telemetry {
  return createTelemetry({ log: createConsoleSink(options) });
}

export function createConsoleSink(options: ConsoleLoggerOptions): LogSink {
  const { clock, minLevel, write, redact = identity } = options;
  const lowest = LEVELS.indexOf(minLevel);
  return ({ level, message, fields, isAudit }) => {
    if (isAudit !== true && LEVELS.indexOf(level) < lowest) return;
    const line: Record<string, LogFields[string]> = {
      time: new Date(clock.now()).toISOString(),
      level,
      message: message.slice(0, MAX_FIELD_CHARS),
    };
    for (const [name, value] of Object.entries(fields)) {
      // No field replaces the heading.
      if (!Object.hasOwn(line, name)) line[name] = toSafeValue(name, { value, redact });
    }
    write(escapeForTerminals(JSON.stringify(line)), level);
  };
}

function identity(text: string): string {
  return text;
}

/** Truncates before redaction, which bounds its cost, and again because redaction may lengthen. */
function toSafeValue(
  name: string,
  { value, redact }: { readonly value: LogFields[string]; readonly redact: Redact },
): LogFields[string] {
  if (typeof value !== 'string') return value;
  const text = value.slice(0, MAX_FIELD_CHARS);
  return ID_FIELDS.has(name) ? text : redact(text).slice(0, MAX_FIELD_CHARS);
}

const OTHER_THAN_ASCII = /[^\x20-\x7e]/;

/**
 * JSON escapes control characters below U+0020 only. C1 controls, line separators and format
 * characters (invisible ones, bidirectional overrides, tags) can still forge or hide text in a
 * viewer, so they are escaped too.
 */
function escapeForTerminals(json: string): string {
  if (!OTHER_THAN_ASCII.test(json)) return json;
  return json.replaceAll(/[\u007f-\u009f\u2028\u2029]|\p{Cf}/gu, (character) =>
    character.split('').map(escapeUnit).join(''),
  );
}

function escapeUnit(unit: string): string {
  return `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`;
}
