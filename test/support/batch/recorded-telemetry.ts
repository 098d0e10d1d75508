import { passThroughTracer, silentMeter } from '../../../shared/telemetry/create-telemetry.ts';
import type { LogFields, LogLevel, Telemetry } from '../../../shared/telemetry/telemetry.ts';

export interface LogRecord {
  readonly level: LogLevel;
  readonly message: string;
  readonly fields: LogFields;
}

export interface RecordedTelemetry extends Telemetry {
  readonly records: readonly LogRecord[];
}

/** Keeps what it is told. */
export function createRecordedTelemetry(): RecordedTelemetry {
  const records: LogRecord[] = [];
  return { ...bind(records, {}), records };
}

function bind(records: LogRecord[], bound: LogFields): Telemetry {
  const log =
    (level: LogLevel) =>
    (message: string, fields: LogFields = {}): void => {
      records.push({ level, message, fields: { ...bound, ...fields } });
    };
  return {
    ...silentMeter,
    ...passThroughTracer,
    debug: log('debug'),
    info: log('info'),
    warn: log('warn'),
    error: log('error'),
    with: (fields) => bind(records, { ...bound, ...fields }),
  };
}
