import { setTimeout as delay } from 'node:timers/promises';
import { type Agent, createAgent, measureQuestion, type ModelParameters } from './agent/agent.ts';
import { rememberAnswers } from './agent/cached-agent.ts';
import { traceAgent } from './agent/traced-agent.ts';
import type { Batch } from './batch/queue-trigger.ts';
import { systemClock, type Clock } from './clock.ts';
import { lazyCredential, once, openSecrets } from './composition-root/secrets.ts';
import { observeBatch, observeService, wireReadiness } from './composition-root/health.ts';
import { openTelemetry } from './composition-root/telemetry.ts';
import { readAgentToml } from './config/agent-toml.ts';
import { wireBatch } from './composition-root/batch.ts';
import { wireCache, wireRedis } from './composition-root/redis-and-cache.ts';
import { wireCallers, wireLimits } from './composition-root/access.ts';
import { wireModel } from './composition-root/model.ts';
import { ConfigError } from './config/config-error.ts';
import type { Environment } from './config/read-variables.ts';
import { readConfig, type Settings } from './config/read-config.ts';
import type { Secrets } from './secrets/secrets.ts';
import { ServiceError } from './errors.ts';
import type { Readiness } from './health/readiness.ts';
import type { CompletionsNeeds } from './http/chat-handler.ts';
import type { MetricsNeeds } from './http/operations-handler.ts';
import { createConsoleTelemetry } from './telemetry/console-logger.ts';
import type { Transport } from './telemetry/azure-monitor/start.ts';
import type { LogLevel, Telemetry } from './telemetry/telemetry.ts';

/** Everything that triggers need. Each of them declares the part that it uses. */
export interface Service extends CompletionsNeeds, MetricsNeeds {
  readonly agent: Agent;
  readonly readiness: Readiness;
  readonly telemetry: Telemetry;
  /** Made for the first job, so that a chat never pays for the storage client. */
  batch(): Promise<Batch>;
  /** Ends what runs in the background, within the few seconds that the platform grants. */
  close(): Promise<void>;
}

/** What a test puts in the place of the world. */
export interface Parts {
  /** The text of agent.toml; the defaults without it. */
  readonly agentToml?: string;
  /** Secrets of the test's own, which it closes itself. */
  readonly secrets?: Secrets;
  readonly clock?: Clock;
  readonly random?: () => number;
  readonly writeLog?: (line: string, level: LogLevel) => void;
  /** Another way to Application Insights than https. */
  readonly telemetryTransport?: Transport;
}

/** Of the 5 s at the end, what comes before the last telemetry is sent. */
const STOP_MS = 1_000;

let starting: Promise<Service> | undefined;
let told: string | undefined;

/** One service per worker process. A failed start is forgotten, so the next call tries again. */
export function getService(): Promise<Service> {
  starting ??= startService().catch((error: unknown) => {
    starting = undefined;
    throw explain(error);
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
 * Wires the whole product. What only the vault can say may be missing: the service then stands, is
 * not ready, and takes the model over when the vault has named it.
 * @throws ConfigError naming every setting that is wrong
 */
export async function createService(environment: Environment, parts: Parts = {}): Promise<Service> {
  const { agentToml = '', clock = systemClock, random = Math.random } = parts;
  const { settings } = readConfig(environment, { agentToml });
  const credential = lazyCredential(settings);
  const { writeLog = writeToConsole, telemetryTransport: transport } = parts;
  const observed = openTelemetry({
    environment,
    settings,
    clock,
    credential,
    writeLog,
    transport,
  });
  const { telemetry, metrics } = observed;
  const surroundings = { settings, clock, random, telemetry };
  const secrets = parts.secrets ?? (await openSecrets(environment, surroundings));
  await secrets.loaded();
  await observed.begin(secrets);
  const readSettings = () => readConfig(environment, { agentToml, secrets }).settings;
  const asking = { ...surroundings, secrets, credential, readSettings };
  const wired = wireModel(asking);
  const { model } = wired;
  const redis = await wireRedis({ settings, secrets, clock, telemetry });
  const cache = wireCache({ settings, redis, clock });
  const callers = wireCallers(settings, secrets);
  const asked = { instructions: settings.agent.instructions, parameters: parametersOf(settings) };
  const forgetful = createAgent({ model, ...asked });
  const answering =
    cache === undefined
      ? forgetful
      : rememberAnswers({ ...asked, ...cache, agent: forgetful, model: () => wired.fingerprint() });
  const agent = traceAgent(answering, { name: settings.agent.name });
  observeService(metrics, { model, cache });
  const batch = once(async () => {
    const made = await wireBatch(settings, { agent, clock, telemetry, credential });
    observeBatch(metrics, made);
    return made;
  });
  const readiness = wireReadiness({ ...surroundings, secrets, wired, callers, redis, batch });
  return {
    agent,
    publicModel: settings.agent.name,
    telemetry,
    metrics,
    maxRequestBytes: settings.limits.maxRequestBytes,
    chatLimits: settings.limits,
    identify: callers.identify,
    limits: wireLimits({ settings, shared: redis, clock, telemetry }),
    measure: (question) => measureQuestion(question, asked),
    readiness,
    batch,
    async close() {
      if (parts.secrets === undefined) secrets.close();
      const stopped = Promise.all([(await batch.made())?.processor.stop(), cache?.flush()]);
      // What telemetry has to send must not wait for a batch that is slow to stop.
      await Promise.race([stopped, delay(STOP_MS, undefined, { ref: false })]);
      await Promise.all([stopped, observed.close()]);
    },
  };
}

/** How every turn asks the model: what an answer depends on besides the question. */
function parametersOf({ model }: Settings): ModelParameters {
  return { maxOutputTokens: model.maxOutputTokens, temperature: model.temperature };
}

/** A caller learns which settings are wrong; the log says so once, not for every request. */
function explain(error: unknown): unknown {
  if (!(error instanceof ConfigError)) return error;
  if (told !== error.message) {
    told = error.message;
    createConsoleTelemetry({ clock: systemClock, minLevel: 'info', write: writeToConsole }).error(
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
