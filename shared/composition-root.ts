import { setTimeout as delay } from 'node:timers/promises';
import { type Agent, createAgent, estimateInput, type PromptOptions } from './agent/agent.ts';
import { createCachedAgent } from './agent/cached-agent.ts';
import { createTracedAgent } from './agent/traced-agent.ts';
import type { Batch } from './batch/queue-trigger.ts';
import { systemClock, type Clock } from './clock.ts';
import { lazyCredential, memoize, createSecrets } from './composition-root/secrets.ts';
import {
  registerBatchGauges,
  registerServiceGauges,
  createReadinessFromSettings,
} from './composition-root/health.ts';
import { createServiceTelemetry } from './composition-root/telemetry.ts';
import { readAgentToml } from './config/agent-toml.ts';
import { createBatchFromSettings } from './composition-root/batch.ts';
import {
  type ConfiguredCache,
  createConfiguredCache,
  createSharedRedis,
} from './composition-root/redis-and-cache.ts';
import { createCallerAccess, createCallerLimits } from './composition-root/access.ts';
import { type ConfiguredModel, createConfiguredModel } from './composition-root/model.ts';
import { ConfigError } from './config/config-error.ts';
import type { Environment } from './config/read-variables.ts';
import { readConfig, type Settings } from './config/read-config.ts';
import type { Secrets } from './secrets/secrets.ts';
import { ServiceError } from './errors.ts';
import type { Readiness } from './health/readiness.ts';
import type { ChatDependencies } from './http/chat-handler.ts';
import type { MetricsDependencies } from './http/operations-handler.ts';
import { createConsoleLogger } from './telemetry/console-logger.ts';
import type { ExportTransport } from './telemetry/azure-monitor/start.ts';
import type { LogLevel, Telemetry } from './telemetry/telemetry.ts';

/** Everything that triggers need. Each of them declares the part that it uses. */
export interface Service extends ChatDependencies, MetricsDependencies {
  readonly agent: Agent;
  readonly readiness: Readiness;
  readonly telemetry: Telemetry;
  /** Made for the first job, so that a chat never pays for the storage client. */
  batch(): Promise<Batch>;
  /** Ends what runs in the background, within the few seconds that the platform grants. */
  close(): Promise<void>;
}

/** What a test puts in the place of the world. */
export interface ServiceOverrides {
  /** The text of agent.toml; the defaults without it. */
  readonly agentToml?: string;
  /** Secrets of the test's own, which it closes itself. */
  readonly secrets?: Secrets;
  readonly clock?: Clock;
  readonly random?: () => number;
  readonly writeLog?: (line: string, level: LogLevel) => void;
  /** Another way to Application Insights than https. */
  readonly telemetryTransport?: ExportTransport;
}

/** Of the 5 s at the end, what comes before the last telemetry is sent. */
const STOP_MS = 1_000;

let starting: Promise<Service> | undefined;
let lastLoggedConfigError: string | undefined;

/** One service per worker process. A failed start is forgotten, so the next call tries again. */
export function getService(): Promise<Service> {
  starting ??= startService().catch((error: unknown) => {
    starting = undefined;
    throw toServiceStartError(error);
  });
  return starting;
}

async function startService(): Promise<Service> {
  // The exporter would tell its makers about itself, and asks the machine's metadata for what to tell.
  process.env['APPLICATION_INSIGHTS_NO_STATSBEAT'] ??= 'true';
  return createService(process.env, { agentToml: await readAgentToml(import.meta.dirname) });
}

/** Ends the service of this process, if there is one. */
export async function closeService(): Promise<void> {
  const service = await starting?.catch(() => undefined);
  await service?.close();
}

/**
 * Wires the whole product. A value that only the vault knows may be missing: the service then
 * starts, reports that it is not ready, and configures the model once the vault provides it.
 * @throws ConfigError naming every setting that is wrong
 */
export async function createService(
  environment: Environment,
  overrides: ServiceOverrides = {},
): Promise<Service> {
  const base = await createBase(environment, overrides);
  const { settings, secrets, credential, clock, telemetry, metrics } = base;
  const prompt = promptOptionsOf(settings);
  const model = createConfiguredModel(base);
  const redis = await createSharedRedis({ settings, secrets, clock, telemetry });
  const cache = createConfiguredCache({ settings, redis, clock });
  const callers = createCallerAccess(settings, secrets);
  const agent = createServiceAgent(settings, { model, cache });
  registerServiceGauges(metrics, { model: model.model, cache });
  const batch = memoize(async () => {
    const created = await createBatchFromSettings(settings, {
      agent,
      clock,
      telemetry,
      credential,
    });
    registerBatchGauges(metrics, created);
    return created;
  });
  const dependencies = { ...base, wired: model, callers, redis, batch };
  return {
    agent,
    publicModel: settings.agent.name,
    telemetry,
    metrics,
    maxRequestBytes: settings.limits.maxRequestBytes,
    chatLimits: settings.limits,
    identify: callers.identify,
    limits: createCallerLimits({ settings, shared: redis, clock, telemetry }),
    measure: (input) => estimateInput(input, prompt),
    readiness: createReadinessFromSettings(dependencies),
    batch,
    async close() {
      if (overrides.secrets === undefined) secrets.close();
      const stopped = Promise.all([(await batch.made())?.processor.stop(), cache?.flush()]);
      // What telemetry has to send must not wait for a batch that is slow to stop.
      await Promise.race([stopped, delay(STOP_MS, undefined, { ref: false })]);
      await Promise.all([stopped, base.closeTelemetry()]);
    },
  };
}

/** Settings, secrets and telemetry: what every other part of the service is created from. */
async function createBase(environment: Environment, overrides: ServiceOverrides) {
  const { agentToml = '', clock = systemClock, random = Math.random } = overrides;
  const { writeLog = writeToConsole, telemetryTransport: transport } = overrides;
  const { settings } = readConfig(environment, { agentToml });
  const credential = lazyCredential(settings);
  const created = createServiceTelemetry({
    environment,
    settings,
    clock,
    credential,
    writeLog,
    transport,
  });
  const { telemetry, metrics } = created;
  const common = { settings, clock, random, telemetry };
  const secrets = overrides.secrets ?? (await createSecrets(environment, common));
  await secrets.loaded();
  await created.begin(secrets);
  const readSettings = () => readConfig(environment, { agentToml, secrets }).settings;
  const closeTelemetry = () => created.close();
  return { ...common, secrets, credential, readSettings, metrics, closeTelemetry };
}

interface AgentParts {
  readonly model: ConfiguredModel;
  readonly cache: ConfiguredCache | undefined;
}

/** The agent, from the inside out: model, cache where there is one, trace. */
function createServiceAgent(settings: Settings, { model, cache }: AgentParts): Agent {
  const prompt = promptOptionsOf(settings);
  const uncached = createAgent({ model: model.model, ...prompt });
  const agent =
    cache === undefined
      ? uncached
      : createCachedAgent({
          ...prompt,
          responseCache: cache.answers,
          agent: uncached,
          model: () => model.fingerprint(),
        });
  return createTracedAgent(agent, { name: settings.agent.name });
}

/** The instructions and model parameters of every run; part of the cache key. */
function promptOptionsOf({ agent, model }: Settings): PromptOptions {
  const { maxOutputTokens, temperature } = model;
  return { instructions: agent.instructions, parameters: { maxOutputTokens, temperature } };
}

/** A caller learns which settings are wrong; the log says so once, not for every request. */
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

/** The platform collects what a worker prints, one record for each line. */
function writeToConsole(line: string, level: LogLevel): void {
  (level === 'error' ? process.stderr : process.stdout).write(`${line}\n`);
}
