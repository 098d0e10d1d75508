import { noopTracer, noopMeter } from '../../shared/telemetry/create-telemetry.ts';
import type { LogFields, LogLevel, Telemetry } from '../../shared/telemetry/telemetry.ts';

export interface LogLine {
  readonly level: LogLevel;
  readonly message: string;
  readonly fields: LogFields;
}

export interface RecordedTelemetry extends Telemetry {
  readonly lines: readonly LogLine[];
  /** The lines of one level. */
  at(level: LogLevel): readonly LogLine[];
}

/** Telemetry that records what it receives. */
export function createRecordedTelemetry(): RecordedTelemetry {
  const lines: LogLine[] = [];
  return {
    ...bind(lines, {}),
    lines,
    at: (level) => lines.filter((line) => line.level === level),
  };
}

function bind(lines: LogLine[], bound: LogFields): Telemetry {
  const log = (level: LogLevel) => (message: string, fields?: LogFields) => {
    lines.push({ level, message, fields: { ...bound, ...fields } });
  };
  return {
    ...noopMeter,
    ...noopTracer,
    debug: log('debug'),
    info: log('info'),
    warn: log('warn'),
    error: log('error'),
    with: (fields) => bind(lines, { ...bound, ...fields }),
  };
}
