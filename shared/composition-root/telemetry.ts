import type { TokenCredential } from '@azure/identity';
import { hostname } from 'node:os';
import { buildInfo } from '../telemetry/build-info.ts';
import type { Clock } from '../clock.ts';
import { parseFallbacks } from '../config/model-fallbacks.ts';
import { type Settings, toolSecrets } from '../config/read-config.ts';
import { type Environment, requiredSecrets, textOf } from '../config/read-variables.ts';
import { type Variable, VARIABLES } from '../config/variables.ts';
import { createRedactor } from '../guardrails/log-redactor.ts';
import type { Secrets } from '../secrets/secrets.ts';
import type { AzureMonitor, ExportTransport } from '../telemetry/azure-monitor/start.ts';
import {
  createConsoleSink,
  createTelemetry,
  type LogRecord,
  noopTracer,
  type Redact,
} from '../telemetry/create-telemetry.ts';
import { describeError } from '../telemetry/describe-error.ts';
import { createMetricsRegistry, type MetricsRegistry } from '../telemetry/metrics-registry.ts';
import { observeProcess } from '../telemetry/process-metrics.ts';
import type { LogLevel, Telemetry } from '../telemetry/telemetry.ts';

interface TelemetryDependencies {
  readonly environment: Environment;
  readonly settings: Settings;
  readonly clock: Clock;
  readonly credential: () => Promise<TokenCredential>;
  readonly writeLog: (line: string, level: LogLevel) => void;
  readonly transport: ExportTransport | undefined;
}

/** Logs, metrics and traces of the service. */
export interface ServiceTelemetry {
  readonly telemetry: Telemetry;
  readonly metrics: MetricsRegistry;
  /** Every secret that this process holds now, or buffered. */
  readonly secretValues: () => readonly string[];
  /** Redacts these secrets too, and starts the exporter as soon as they contain a connection string. */
  start(secrets: Secrets): Promise<void>;
  /** Exports what is buffered. Later log lines are printed. */
  close(): Promise<void>;
}

/** Current and recent secrets; the redactor searches every text for each of them. */
const MAX_REDACTED_SECRETS = 64;
const LEVELS: readonly LogLevel[] = ['debug', 'info', 'warn', 'error'];

/** Logs to the console until a connection string is known, then to Application Insights. */
export function createServiceTelemetry(dependencies: TelemetryDependencies): ServiceTelemetry {
  const { settings, clock, writeLog } = dependencies;
  const { logLevel, console: printing } = settings.telemetry;
  let azureMonitor: AzureMonitor | undefined;
  let isStarted = false;
  let secretValues = collectSecretValues(dependencies);
  const metrics = createMetricsRegistry();
  const redact = createLogRedactor(settings, { metrics, secrets: () => secretValues });
  const print = createConsoleSink({ clock, minLevel: logLevel, write: writeLog, redact });
  const stopObserving = observeProcess(metrics, {
    version: runningVersion(settings),
    commit: buildInfo.commit,
  });

  function log(record: LogRecord): void {
    if (record.isAudit === true) {
      if (!settings.security.audit.enabled) return;
    } else if (LEVELS.indexOf(record.level) < LEVELS.indexOf(logLevel)) return;
    azureMonitor?.log(record);
    // The platform collects printed lines, so printing exported lines would duplicate them.
    if (azureMonitor === undefined || printing === 'always') print(record);
  }
  const telemetry = createTelemetry({
    log,
    meter: metrics,
    tracer: {
      startSpan: (name, options) => (azureMonitor?.tracer ?? noopTracer).startSpan(name, options),
    },
  }).with({ agent: settings.agent.name });

  async function startOnce(connectionString: string | undefined): Promise<void> {
    if (isStarted || connectionString === undefined) return;
    isStarted = true;
    try {
      azureMonitor = await startExporter(connectionString, { ...dependencies, metrics, redact });
    } catch (thrown) {
      // The message of the error may contain the connection string.
      telemetry.error('application insights not started', { cause: describeError(thrown) });
    }
  }

  return {
    telemetry,
    metrics,
    secretValues: () => secretValues,
    async start(secrets) {
      async function update(): Promise<void> {
        // Calls in flight still use replaced secrets, so those stay redacted.
        const values = new Set([...collectSecretValues(dependencies, secrets), ...secretValues]);
        secretValues = [...values].slice(0, MAX_REDACTED_SECRETS);
        await startOnce(secrets.get(VARIABLES.appInsightsConnectionString.vaultName));
      }
      await update();
      secrets.onChange(() => void update());
    },
    async close() {
      stopObserving();
      const closing = azureMonitor;
      azureMonitor = undefined;
      await closing?.close();
    },
  };
}

interface LogRedactorOptions {
  readonly metrics: MetricsRegistry;
  readonly secrets: () => readonly string[];
}

function createLogRedactor(
  { security }: Settings,
  { metrics, secrets }: LogRedactorOptions,
): Redact {
  return createRedactor({
    secrets,
    personalData: security.piiDetection.logs,
    onPersonalData: (outcome) =>
      metrics.count('guardrailDecisions', 1, { guardrail: 'pii_detection', stage: 'log', outcome }),
  });
}

interface ExporterDependencies extends TelemetryDependencies {
  readonly metrics: MetricsRegistry;
  readonly redact: Redact;
}

function runningVersion({ appVersion }: Settings): string {
  return appVersion ?? buildInfo.version;
}

/** The platform's own setting for a resource that does not accept keys. */
const AAD_AUTHENTICATION = /(?:^|;)\s*Authorization\s*=\s*AAD\s*(?:;|$)/i;

/** Loads the exporter only if it is needed, because its packages cost a cold start. */
async function startExporter(
  connectionString: string,
  { settings, credential, transport, metrics, redact }: ExporterDependencies,
): Promise<AzureMonitor> {
  const usesIdentity = AAD_AUTHENTICATION.test(settings.appInsightsAuthentication ?? '');
  const [{ startAzureMonitor }, identity] = await Promise.all([
    import('../telemetry/azure-monitor/start.ts'),
    usesIdentity ? credential() : undefined,
  ]);
  return startAzureMonitor({
    connectionString,
    credential: identity,
    samplingRatio: settings.telemetry.samplingRatio,
    liveMetrics: settings.telemetry.liveMetrics,
    service: { name: settings.agent.name, version: runningVersion(settings), instance: hostname() },
    registry: metrics,
    redact,
    transport,
  });
}

/** The secret part of a storage connection string. */
const ACCOUNT_KEY = /AccountKey=([^;]+)/;

/** Every secret value that this process holds, for redaction. */
function collectSecretValues(
  { environment, settings }: Pick<TelemetryDependencies, 'environment' | 'settings'>,
  secrets?: Secrets,
): readonly string[] {
  const variables = Object.values<Variable>(VARIABLES).filter(({ secret }) => secret === true);
  const texts = variables.map(({ name }) => textOf(environment, name));
  const fallbacks = textOf(environment, VARIABLES.modelFallbacks.name);
  const fallbackKeys = (parseFallbacks(fallbacks === '' ? '[]' : fallbacks) ?? []).map(
    ({ apiKey }) => apiKey,
  );
  const required = requiredSecrets(fallbacks === '' ? undefined : fallbacks, toolSecrets(settings));
  const vaultValues = required.map(({ name }) => secrets?.get(name));
  const accountKeys = texts.map((text) => ACCOUNT_KEY.exec(text)?.[1]);
  const all = [...texts, ...fallbackKeys, ...vaultValues, ...accountKeys];
  return [...new Set(all)].filter((value): value is string => Boolean(value));
}
