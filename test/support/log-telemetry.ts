import { createConsoleLogger } from '../../shared/telemetry/create-telemetry.ts';
import { systemClock, type Clock } from '../../shared/clock.ts';
import type { Telemetry } from '../../shared/telemetry/telemetry.ts';

export interface LogTelemetry {
  readonly telemetry: Telemetry;
  /** The lines so far, as they would be printed. */
  readonly lines: readonly string[];
  count(message: string): number;
}

/** The real structured log, kept in memory. */
export function createLogTelemetry(clock: Clock = systemClock): LogTelemetry {
  const lines: string[] = [];
  return {
    telemetry: createConsoleLogger({
      clock,
      minLevel: 'debug',
      write: (line) => void lines.push(line),
    }),
    lines,
    count: (message) => lines.filter((line) => line.includes(`"${message}"`)).length,
  };
}
