import { createAgent, type Agent, type ModelParameters } from './agent/agent.ts';
import { measureQuestion } from './agent/measure-question.ts';
import { rememberAnswers } from './agent/remember-answers.ts';
import type { Batch } from './batch/queue-handler.ts';
import { systemClock, type Clock } from './clock.ts';
import { lazyCredential } from './composition-root/credential.ts';
import { once } from './composition-root/once.ts';
import { openSecrets } from './composition-root/open-secrets.ts';
import { readAgentToml } from './composition-root/read-agent-toml.ts';
import { secretsStatus } from './composition-root/secrets-status.ts';
import { wireBatch } from './composition-root/wire-batch.ts';
import { wireCache } from './composition-root/wire-cache.ts';
import { wireCallers } from './composition-root/wire-callers.ts';
import { wireLimits } from './composition-root/wire-limits.ts';
import { wireModel } from './composition-root/wire-model.ts';
import { wireRedis, type WiredRedis } from './composition-root/wire-redis.ts';
import { ConfigError } from './config/config-error.ts';
import type { Environment } from './config/find-variable.ts';
import { readConfig, type Settings } from './config/read-config.ts';
import type { Secrets } from './config/secrets.ts';
import { wantedSecrets } from './config/variable-settings.ts';
import { ServiceError } from './errors.ts';
import { chatStatus } from './health/chat-status.ts';
import {
  createReadiness,
  type PartStatus,
  type Readiness,
  type ReadinessOptions,
} from './health/readiness.ts';
import type { CompletionsNeeds } from './http/answer-completions.ts';
import { createConsoleTelemetry } from './telemetry/console-telemetry.ts';
import type { LogLevel, Telemetry } from './telemetry/telemetry.ts';

/** Everything that triggers need. Each of them declares the part that it uses. */
export interface Service extends CompletionsNeeds {
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
}

/** How long a readiness report is given out again, and how long a check may take. */
const READINESS = { cacheMs: 5_000, timeoutMs: 2_000 } as const;

type Checks = ReadinessOptions['checks'];

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
  const telemetry = openTelemetry(settings, parts);
  const surroundings = { settings, clock, random, telemetry };
  const secrets = parts.secrets ?? (await openSecrets(environment, surroundings));
  await secrets.loaded();
  const readSettings = () => readConfig(environment, { agentToml, secrets }).settings;
  const credential = lazyCredential(settings);
  const wired = wireModel({ secrets, credential, clock, random, telemetry, readSettings });
  const { model } = wired;
  const redis = await wireRedis({ settings, secrets, clock, telemetry });
  const cache = wireCache({ settings, redis, clock });
  const callers = wireCallers(settings, secrets);
  const asked = { instructions: settings.agent.instructions, parameters: parametersOf(settings) };
  const forgetful = createAgent({ model, ...asked });
  const agent =
    cache === undefined
      ? forgetful
      : rememberAnswers({ ...asked, ...cache, agent: forgetful, model: () => wired.fingerprint() });
  const batch = once(() => wireBatch(settings, { agent, clock, telemetry, credential }));
  const checks: Checks = {
    async chat() {
      wired.requireConfigured();
      callers.requireConfigured();
      return chatStatus(model.endpoints(), clock.now());
    },
    batch: async (signal) => batchStatus(await batch(), signal),
    secrets: async () => secretsStatus(secrets, wantedSecrets(settings.modelFallbacks)),
    redis: redis && (async () => redisStatus(redis)),
  };
  return {
    agent,
    publicModel: settings.agent.name,
    telemetry,
    maxRequestBytes: settings.limits.maxRequestBytes,
    chatLimits: settings.limits,
    identify: callers.identify,
    limits: wireLimits({ settings, shared: redis, clock, telemetry }),
    measure: (question) => measureQuestion(question, asked),
    readiness: createReadiness({ ...READINESS, checks, clock, telemetry }),
    batch,
    async close() {
      if (parts.secrets === undefined) secrets.close();
      await Promise.all([(await batch.made())?.processor.stop(), cache?.flush()]);
    },
  };
}

function openTelemetry(settings: Settings, parts: Parts): Telemetry {
  const { clock = systemClock, writeLog = writeToConsole } = parts;
  return createConsoleTelemetry({
    clock,
    minLevel: settings.telemetry.logLevel,
    write: writeLog,
  }).with({ agent: settings.agent.name });
}

async function batchStatus(batch: Batch, signal: AbortSignal): Promise<PartStatus> {
  await batch.store.ping(signal);
  return { status: 'ready' };
}

/** How every turn asks the model: what an answer depends on besides the question. */
function parametersOf({ model }: Settings): ModelParameters {
  return { maxOutputTokens: model.maxOutputTokens, temperature: model.temperature };
}

function redisStatus(redis: WiredRedis): PartStatus {
  if (redis.state() === 'ready') return { status: 'ready' };
  const reason = 'Redis is away; this instance keeps limits and answers for itself';
  return { status: 'degraded', reason };
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
