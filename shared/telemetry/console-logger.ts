import type { Clock } from '../clock.ts';
import { createTelemetry, type LogSink } from './create-telemetry.ts';
import { ID_FIELDS, type Redact } from './redact.ts';
import type { LogFields, LogLevel, Telemetry } from './telemetry.ts';

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
  return ({ level, message, fields }) => {
    if (LEVELS.indexOf(level) < lowest) return;
    const time = new Date(clock.now()).toISOString();
    const heading = { time, level, message };
    // Spread twice: first for the order, last so that no field replaces the heading.
    write(toLine({ ...heading, ...redactFields(fields, redact), ...heading }), level);
  };
}

function identity(text: string): string {
  return text;
}

/** Truncates before redaction, which bounds its cost; `toLine` truncates again because redaction may lengthen. */
function redactFields(fields: LogFields, redact: Redact): LogFields {
  const safe: Record<string, LogFields[string]> = {};
  for (const [name, value] of Object.entries(fields)) {
    const isText = typeof value === 'string' && !ID_FIELDS.has(name);
    safe[name] = isText ? redact(value.slice(0, MAX_FIELD_CHARS)) : value;
  }
  return safe;
}

function toLine(record: LogFields): string {
  const capped: Record<string, LogFields[string]> = {};
  for (const [name, value] of Object.entries(record)) {
    capped[name] = typeof value === 'string' ? value.slice(0, MAX_FIELD_CHARS) : value;
  }
  return escapeForTerminals(JSON.stringify(capped));
}

/**
 * JSON escapes control characters below U+0020 only. C1 controls, line separators and format
 * characters (invisible ones, bidirectional overrides, tags) can still forge or hide text in a
 * viewer, so they are escaped too.
 */
function escapeForTerminals(json: string): string {
  return json.replaceAll(/[\u007f-\u009f\u2028\u2029]|\p{Cf}/gu, (character) =>
    character.split('').map(escapeUnit).join(''),
  );
}

function escapeUnit(unit: string): string {
  return `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`;
}
