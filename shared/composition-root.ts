import { setTimeout as delay } from 'node:timers/promises';
import type { Agent, AgentInput } from './agent/agent.ts';
import { estimateInput } from './agent/model-request.ts';
import type { Batch } from './batch/queue-trigger.ts';
import { systemClock, type Clock } from './clock.ts';
import { lazyCredential, createSecrets } from './composition-root/secrets.ts';
import { registerServiceGauges, createReadinessFromSettings } from './composition-root/health.ts';
import { createAgentTools, createConfiguredAgent } from './composition-root/agent.ts';
import { createServiceTelemetry } from './composition-root/telemetry.ts';
import { readAgentToml } from './config/agent-toml.ts';
import { createLazyBatch } from './composition-root/batch.ts';
import { createLazyRuns, runRoutesOf } from './composition-root/runs.ts';
import { createConfiguredCache, createSharedRedis } from './composition-root/redis-and-cache.ts';
import {
  createHistory,
  createHistoryEncryption,
  type History,
} from './composition-root/sessions.ts';
import { bodyLimitsOf, createCallerAccess, createCallerLimits } from './composition-root/access.ts';
import { createConfiguredModel } from './composition-root/model.ts';
import { ConfigError } from './config/config-error.ts';
import {
  type Environment,
  readRouteAuthLevel,
  type RouteAuthLevel,
} from './config/read-variables.ts';
import { readConfig, type Settings } from './config/read-config.ts';
import type { Secrets } from './secrets/secrets.ts';
import { ServiceError } from './errors.ts';
import { prepareProxyVariables } from './model/proxy.ts';
import type { Readiness } from './health/readiness.ts';
import type { FilesDependencies } from './http/files-handler.ts';
import type { ResponsesDependencies } from './http/responses-handler.ts';
import type { McpDependencies } from './http/mcp-handler.ts';
import type { PageDependencies } from './http/page-handler.ts';
import type { MetricsDependencies } from './http/operations-handler.ts';
import type { TextEncryption } from './storage/text-encryption.ts';
import { buildInfo } from './telemetry/build-info.ts';
import { createConsoleLogger } from './telemetry/create-telemetry.ts';
import type { ExportTransport } from './telemetry/azure-monitor/start.ts';
import type { Runs } from './runs/create-runs.ts';
import type { LogLevel, Telemetry } from './telemetry/telemetry.ts';

/** The dependencies of all triggers. Each trigger declares the part that it uses. */
export interface Service
  extends
    ResponsesDependencies,
    McpDependencies,
    FilesDependencies,
    MetricsDependencies,
    PageDependencies,
    History {
  readonly agent: Agent;
  readonly readiness: Readiness;
  readonly telemetry: Telemetry;
  /** Created for the first job, so that chats do not load the storage client. */
  batch(): Promise<Batch>;
  /** Encrypts what is stored of runs. */
  readonly encryption: TextEncryption;
  /** Created for the first stored response. */
  runs(): Promise<Runs>;
  /** Stops background work within the 5 s that the platform grants at shutdown. */
  close(): Promise<void>;
}

/** Replacements for tests. */
interface ServiceOverrides {
  /** The text of agent.toml; the defaults apply without it. */
  readonly agentToml?: string;
  /** The test closes them itself. */
  readonly secrets?: Secrets;
  readonly clock?: Clock;
  readonly random?: () => number;
  readonly writeLog?: (line: string, level: LogLevel) => void;
  /** Another transport to Application Insights than HTTPS. */
  readonly telemetryTransport?: ExportTransport;
}

/** The part of the 5 s at shutdown before the last telemetry is exported. */
const STOP_TIMEOUT_MS = 1_000;

/**
 * Defaults for the Application Insights package, which reads them from the environment: no
 * telemetry about itself (it would also query the metadata endpoint) and no detection of host and
 * operating system.
 */
export const EXPORTER_ENVIRONMENT: Environment = {
  APPLICATION_INSIGHTS_NO_STATSBEAT: 'true',
  APPLICATIONINSIGHTS_STATSBEAT_DISABLED: 'true',
  APPLICATIONINSIGHTS_SDKSTATS_DISABLED: 'true',
  OTEL_NODE_RESOURCE_DETECTORS: 'none',
};

let service: Promise<Service> | undefined;
let lastLoggedConfigError: string | undefined;
// The process may end before the next turn.
process.once('exit', printLines);

/** Whether the Functions host requires a key of the routes for callers; read when they register. */
export function routeAuthLevel(): RouteAuthLevel {
  return readRouteAuthLevel(process.env);
}

/** The service of this worker process. A failed start is not cached, so the next call retries. */
export function getService(): Promise<Service> {
  service ??= startService().catch((error: unknown) => {
    service = undefined;
    throw toServiceStartError(error);
  });
  return service;
}

async function startService(): Promise<Service> {
  for (const [name, value] of Object.entries(EXPORTER_ENVIRONMENT)) process.env[name] ??= value;
  prepareProxyVariables(process.env);
  return createService(process.env, { agentToml: await readAgentToml(import.meta.dirname) });
}

/** Closes the service of this process, if it has started. */
export async function closeService(): Promise<void> {
  const started = await service?.catch(() => undefined);
  await started?.close();
}

/**
 * Creates the whole product. If a value that only the vault holds is missing, the service still
 * starts, reports that it is not ready, and configures the model once the vault provides the value.
 * @throws ConfigError naming every invalid setting
 */
export async function createService(
  environment: Environment,
  overrides: ServiceOverrides = {},
): Promise<Service> {
  const base = await createBase(environment, overrides);
  const { settings, secrets, clock, telemetry, metrics } = base;
  const tools = await createAgentTools(base);
  const model = createConfiguredModel(base);
  const redis = await createSharedRedis({ settings, secrets, clock, telemetry });
  const encryption = createHistoryEncryption(settings, secrets);
  const cache = createConfiguredCache({ settings, redis, encryption, clock });
  const callers = createCallerAccess(settings, secrets);
  const { agent, prompt, guardrails } = await createConfiguredAgent(base, { tools, model, cache });
  const limits = createCallerLimits({ settings, shared: redis, clock, telemetry });
  const measure = (input: AgentInput) => estimateInput(input, prompt);
  registerServiceGauges(metrics, { model: model.model, cache });
  const batch = createLazyBatch({ ...base, agent, limiter: limits.limiter, measure });
  const history: History = createHistory({ ...base, encryption, runs: () => runs() });
  const runs = createLazyRuns({
    ...base,
    agent,
    encryption,
    limiter: limits.limiter,
    measure,
    conversations: () => history.runConversations(),
  });
  return {
    agent,
    ...routeSettingsOf(settings),
    telemetry,
    metrics,
    identify: callers.identify,
    limits,
    measure,
    ...runRoutesOf(settings, { runs, sessions: history.backgroundSessions }),
    readiness: createReadinessFromSettings({
      ...base,
      model,
      callers,
      redis,
      batch,
      tools: tools.status,
      guardrails,
    }),
    batch,
    encryption,
    ...history,
    async close() {
      if (overrides.secrets === undefined) secrets.close();
      const engines = [(await batch.peek())?.processor.stop(), (await runs.peek())?.stop()];
      // A tool call that is under way in a batch may end.
      const stopped = Promise.all([...engines, cache?.flush()]).then(() => tools.close());
      // A batch that is slow to stop must not delay the last export of telemetry.
      await Promise.race([stopped, delay(STOP_TIMEOUT_MS, undefined, { ref: false })]);
      await Promise.all([stopped, base.closeTelemetry()]);
    },
  };
}

/** What the routes read of the settings. */
function routeSettingsOf(settings: Settings) {
  return {
    isPageEnabled: settings.page.enabled,
    publicModel: settings.agent.name,
    mcp: { ...settings.mcpServer, version: settings.appVersion ?? buildInfo.version },
    ...bodyLimitsOf(settings.limits),
    chatLimits: settings.limits,
    slowReaderTimeoutMs: settings.limits.slowReaderTimeoutMs,
  };
}

/** Settings, secrets and telemetry: the dependencies of every other part of the service. */
async function createBase(environment: Environment, overrides: ServiceOverrides) {
  const { agentToml = '', clock = systemClock, random = Math.random } = overrides;
  const { writeLog = writeToConsole, telemetryTransport: transport } = overrides;
  const { settings } = readConfig(environment, { agentToml });
  const credential = lazyCredential(settings);
  const serviceTelemetry = createServiceTelemetry({
    environment,
    settings,
    clock,
    credential,
    writeLog,
    transport,
  });
  const { telemetry, metrics, secretValues } = serviceTelemetry;
  const common = { environment, settings, credential, clock, random, telemetry };
  const secrets = overrides.secrets ?? (await createSecrets(environment, common));
  await secrets.loaded();
  await serviceTelemetry.start(secrets);
  const readSettings = () => readConfig(environment, { agentToml, secrets }).settings;
  const closeTelemetry = () => serviceTelemetry.close();
  return { ...common, secrets, secretValues, readSettings, metrics, closeTelemetry };
}

/** Reports invalid settings to the caller; logs them once and not for every request. */
function toServiceStartError(error: unknown): unknown {
  if (!(error instanceof ConfigError)) return error;
  if (lastLoggedConfigError !== error.message) {
    lastLoggedConfigError = error.message;
    createConsoleLogger({ clock: systemClock, minLevel: 'info', write: writeToConsole }).error(
      'service not configured',
      { detail: error.message },
    );
  }
  return new ServiceError('config_unavailable', error.message, { cause: error });
}

let printedLines = '';

/**
 * The platform collects printed lines, one record for each. The lines of one turn of the event loop
 * are one write, because a write costs more than a line. Errors are written at once.
 */
function writeToConsole(line: string, level: LogLevel): void {
  if (level === 'error') {
    process.stderr.write(`${line}\n`);
    return;
  }
  if (printedLines === '') setImmediate(printLines);
  printedLines += `${line}\n`;
}

function printLines(): void {
  const lines = printedLines;
  printedLines = '';
  if (lines !== '') process.stdout.write(lines);
}
