import { noopTracer, noopMeter } from '../../shared/telemetry/create-telemetry.ts';
import type { LogFields, LogLevel, Telemetry } from '../../shared/telemetry/telemetry.ts';

export interface LogLine {
  readonly level: LogLevel;
  readonly message: string;
  readonly fields: LogFields;
}

export interface RecordedTelemetry extends Telemetry {
  readonly lines: readonly LogLine[];
  /** The lines of the audit log. */
  readonly audits: readonly LogFields[];
  /** The lines of one level. */
  at(level: LogLevel): readonly LogLine[];
}

/** Telemetry that records what it receives. */
export function createRecordedTelemetry(): RecordedTelemetry {
  const lines: LogLine[] = [];
  const audits: LogFields[] = [];
  return {
    ...bind({ lines, audits }, {}),
    lines,
    audits,
    at: (level) => lines.filter((line) => line.level === level),
  };
}

interface Recording {
  readonly lines: LogLine[];
  readonly audits: LogFields[];
}

function bind(recording: Recording, bound: LogFields): Telemetry {
  const { lines, audits } = recording;
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
    audit: (fields) => void audits.push({ ...bound, ...fields }),
    with: (fields) => bind(recording, { ...bound, ...fields }),
  };
}
