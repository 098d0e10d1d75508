import type { TokenCredential } from '@azure/identity';
import type { Clock } from '../clock.ts';
import type { Environment } from '../config/find-variable.ts';
import type { Settings } from '../config/read-config.ts';
import type { Secrets } from '../secrets/secrets.ts';
import { VARIABLES } from '../config/variables.ts';
import type { AzureMonitor, Transport } from '../telemetry/azure-monitor/start.ts';
import { createConsoleLog } from '../telemetry/console-logger.ts';
import {
  createTelemetry,
  passThroughTracer,
  type LogRecord,
} from '../telemetry/create-telemetry.ts';
import { describeCause } from '../telemetry/describe-error.ts';
import { createMetricsRegistry, type MetricsRegistry } from '../telemetry/metrics-registry.ts';
import { observeProcess } from '../telemetry/process-metrics.ts';
import { createRedactor } from '../telemetry/redact.ts';
import type { LogLevel, Telemetry } from '../telemetry/telemetry.ts';
import { secretValues } from './secret-values.ts';
import { startSending } from './start-sending.ts';

export interface TelemetryParts {
  readonly environment: Environment;
  readonly settings: Settings;
  readonly clock: Clock;
  readonly credential: () => Promise<TokenCredential>;
  readonly writeLog: (line: string, level: LogLevel) => void;
  readonly transport: Transport | undefined;
}

/** What tells operators what happens, and where they look. */
export interface OpenedTelemetry {
  readonly telemetry: Telemetry;
  readonly metrics: MetricsRegistry;
  /** Hides these secrets too, and sends to Application Insights as soon as they name one. */
  begin(secrets: Secrets): Promise<void>;
  /** Sends what waits. What is told afterwards is printed. */
  close(): Promise<void>;
}

/** Secrets of the moment and those before them; each is looked for in every text. */
const MAX_HIDDEN = 64;
const LEVELS: readonly LogLevel[] = ['debug', 'info', 'warn', 'error'];

/** Telemetry that begins on the console and goes on to Application Insights once that is known. */
export function openTelemetry(parts: TelemetryParts): OpenedTelemetry {
  const { environment, settings, clock, writeLog } = parts;
  const { logLevel, console: printing } = settings.telemetry;
  let azure: AzureMonitor | undefined;
  let isBegun = false;
  let hidden = secretValues(environment);
  const redact = createRedactor({ secrets: () => hidden });
  const print = createConsoleLog({ clock, minLevel: logLevel, write: writeLog, redact });
  const metrics = createMetricsRegistry();
  const stopObserving = observeProcess(metrics, { version: settings.appVersion });

  function log(record: LogRecord): void {
    if (LEVELS.indexOf(record.level) < LEVELS.indexOf(logLevel)) return;
    azure?.log(record);
    // Printed lines are collected by the platform: both would be the same line twice.
    if (azure === undefined || printing === 'always') print(record);
  }
  const telemetry = createTelemetry({
    log,
    meter: metrics,
    tracer: {
      startSpan: (name, options) => (azure?.tracer ?? passThroughTracer).startSpan(name, options),
    },
  }).with({ agent: settings.agent.name });

  async function send(connectionString: string | undefined): Promise<void> {
    if (isBegun || connectionString === undefined) return;
    isBegun = true;
    try {
      azure = await startSending(connectionString, { ...parts, metrics, redact });
    } catch (thrown) {
      // Its message may hold the connection string.
      telemetry.error('application insights not started', { cause: describeCause(thrown) });
    }
  }

  return {
    telemetry,
    metrics,
    async begin(secrets) {
      async function learn(): Promise<void> {
        // A key that was replaced is in use for a while, and a secret for longer.
        const known = new Set([...secretValues(environment, secrets), ...hidden]);
        hidden = [...known].slice(0, MAX_HIDDEN);
        await send(secrets.get(VARIABLES.appInsightsConnectionString.vaultName));
      }
      await learn();
      secrets.onChange(() => void learn());
    },
    async close() {
      stopObserving();
      const last = azure;
      azure = undefined;
      await last?.close();
    },
  };
}
