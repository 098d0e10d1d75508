import { ROOT_CONTEXT, trace, TraceFlags } from '@opentelemetry/api';
import { SeverityNumber, type AnyValueMap, type Logger } from '@opentelemetry/api-logs';
import type { LogRecord, LogSink } from '../create-telemetry.ts';
import type { Redact } from '../redact.ts';
import type { LogFields, LogLevel } from '../telemetry.ts';

const SEVERITY: Readonly<Record<LogLevel, SeverityNumber>> = {
  debug: SeverityNumber.DEBUG,
  info: SeverityNumber.INFO,
  warn: SeverityNumber.WARN,
  error: SeverityNumber.ERROR,
};
const MAX_FIELD_CHARS = 2_000;

/** Log lines as records that belong to the span of their request. */
export function createLogSink(logger: Logger, redact: Redact): LogSink {
  return (record) => {
    const { level, message, fields } = record;
    const spanContext = spanOf(fields);
    logger.emit({
      severityNumber: SEVERITY[level],
      severityText: level,
      body: message,
      attributes: { ...toAttributes(fields, redact), ...exceptionOf(record) },
      context:
        spanContext === undefined ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, spanContext),
    });
  };
}

function toAttributes(fields: LogFields, redact: Redact): AnyValueMap {
  const attributes: AnyValueMap = {};
  for (const [name, value] of Object.entries(fields)) {
    if (value === undefined || value === null) continue;
    attributes[name] = typeof value === 'string' ? redact(value.slice(0, MAX_FIELD_CHARS)) : value;
  }
  return attributes;
}

/** A defect becomes an exception: its class and where it happened, and our text for its message. */
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
