import type { TokenCredential } from '@azure/identity';
import { hostname } from 'node:os';
import type { Clock } from '../clock.ts';
import { parseFallbacks } from '../config/model-fallbacks.ts';
import type { Settings } from '../config/read-config.ts';
import { type Environment, textOf, requiredSecrets } from '../config/read-variables.ts';
import { type Variable, VARIABLES } from '../config/variables.ts';
import type { Secrets } from '../secrets/secrets.ts';
import type { AzureMonitor, ExportTransport } from '../telemetry/azure-monitor/start.ts';
import { createConsoleSink } from '../telemetry/console-logger.ts';
import { createTelemetry, type LogRecord, noopTracer } from '../telemetry/create-telemetry.ts';
import { describeError } from '../telemetry/describe-error.ts';
import { createMetricsRegistry, type MetricsRegistry } from '../telemetry/metrics-registry.ts';
import { observeProcess } from '../telemetry/process-metrics.ts';
import { createRedactor, type Redact } from '../telemetry/redact.ts';
import type { LogLevel, Telemetry } from '../telemetry/telemetry.ts';

export interface TelemetryDependencies {
  readonly environment: Environment;
  readonly settings: Settings;
  readonly clock: Clock;
  readonly credential: () => Promise<TokenCredential>;
  readonly writeLog: (line: string, level: LogLevel) => void;
  readonly transport: ExportTransport | undefined;
}

/** What tells operators what happens, and where they look. */
export interface ServiceTelemetry {
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
export function createServiceTelemetry(parts: TelemetryDependencies): ServiceTelemetry {
  const { environment, settings, clock, writeLog } = parts;
  const { logLevel, console: printing } = settings.telemetry;
  let azure: AzureMonitor | undefined;
  let isBegun = false;
  let hidden = collectSecretValues(environment);
  const redact = createRedactor({ secrets: () => hidden });
  const print = createConsoleSink({ clock, minLevel: logLevel, write: writeLog, redact });
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
      startSpan: (name, options) => (azure?.tracer ?? noopTracer).startSpan(name, options),
    },
  }).with({ agent: settings.agent.name });

  async function send(connectionString: string | undefined): Promise<void> {
    if (isBegun || connectionString === undefined) return;
    isBegun = true;
    try {
      azure = await startExporter(connectionString, { ...parts, metrics, redact });
    } catch (thrown) {
      // Its message may hold the connection string.
      telemetry.error('application insights not started', { cause: describeError(thrown) });
    }
  }

  return {
    telemetry,
    metrics,
    async begin(secrets) {
      async function learn(): Promise<void> {
        // A key that was replaced is in use for a while, and a secret for longer.
        const known = new Set([...collectSecretValues(environment, secrets), ...hidden]);
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

export interface ExporterDependencies extends TelemetryDependencies {
  readonly metrics: MetricsRegistry;
  readonly redact: Redact;
}

/** Where the resource takes no keys, it says so in the same words as to the platform. */
const BY_IDENTITY = /(?:^|;)\s*Authorization\s*=\s*AAD\s*(?:;|$)/i;

/** The packages that send cost a cold start, so they are loaded where there is something to send to. */
export async function startExporter(
  connectionString: string,
  { settings, credential, transport, metrics, redact }: ExporterDependencies,
): Promise<AzureMonitor> {
  const byIdentity = BY_IDENTITY.test(settings.appInsightsAuthentication ?? '');
  const [{ startAzureMonitor }, identity] = await Promise.all([
    import('../telemetry/azure-monitor/start.ts'),
    byIdentity ? credential() : undefined,
  ]);
  return startAzureMonitor({
    connectionString,
    credential: identity,
    samplingRatio: settings.telemetry.samplingRatio,
    service: { name: settings.agent.name, version: settings.appVersion, instance: hostname() },
    registry: metrics,
    redact,
    transport,
  });
}

/** The part of a storage connection string that opens the account. */
const ACCOUNT_KEY = /AccountKey=([^;]+)/;

/** Every secret that this process holds at the moment, to be hidden wherever text leaves it. */
export function collectSecretValues(
  environment: Environment,
  secrets?: Secrets,
): readonly string[] {
  const variables = Object.values<Variable>(VARIABLES).filter(({ secret }) => secret === true);
  const texts = variables.map(({ name }) => textOf(environment, name));
  const fallbacks = textOf(environment, VARIABLES.modelFallbacks.name);
  const keys = (parseFallbacks(fallbacks === '' ? '[]' : fallbacks) ?? []).map(
    ({ apiKey }) => apiKey,
  );
  const known = requiredSecrets(fallbacks === '' ? undefined : fallbacks);
  const values = known.map(({ name }) => secrets?.get(name));
  const accountKeys = texts.map((text) => ACCOUNT_KEY.exec(text)?.[1]);
  const all = [...texts, ...keys, ...values, ...accountKeys];
  return [...new Set(all)].filter((value): value is string => Boolean(value));
}
