import type { TokenCredential } from '@azure/identity';
import { createAgent, type Agent } from './agent/agent.ts';
import { DEFAULT_INSTRUCTIONS } from './agent/instructions.ts';
import { createJobProcessor } from './batch/process-job.ts';
import type { Batch } from './batch/queue-handler.ts';
import { systemClock, type Clock } from './clock.ts';
import { ConfigError } from './config/config-error.ts';
import { readSettings, type Environment, type Settings } from './config/settings.ts';
import { storageSettings } from './config/storage-settings.ts';
import { ServiceError } from './errors.ts';
import { chatStatus } from './health/chat-status.ts';
import {
  createReadiness,
  type PartStatus,
  type Readiness,
  type ReadinessOptions,
} from './health/readiness.ts';
import type { ChatNeeds } from './http/answer-chat.ts';
import type { ModelEndpoint } from './model/endpoint.ts';
import { createResilientModel, DEFAULT_RESILIENCE } from './model/resilient-model.ts';
import { createConsoleTelemetry } from './telemetry/console-telemetry.ts';
import type { LogLevel, Telemetry } from './telemetry/telemetry.ts';

/** Everything that triggers need. Each of them declares the part that it uses. */
export interface Service extends ChatNeeds {
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
  readonly clock?: Clock;
  readonly random?: () => number;
  readonly writeLog?: (line: string, level: LogLevel) => void;
}

/** How long a readiness report is given out again, and how long a check may take. */
const READINESS = { cacheMs: 5_000, timeoutMs: 2_000 } as const;
const OPENAI_BASE_URL = 'https://api.openai.com/v1';
const AZURE_OPENAI_SCOPE = 'https://cognitiveservices.azure.com/.default';

type Checks = ReadinessOptions['checks'];

let starting: Promise<Service> | undefined;
let told: string | undefined;

/** One service per worker process. A failed start is forgotten, so the next call tries again. */
export function getService(): Promise<Service> {
  starting ??= createService(process.env).catch((error: unknown) => {
    starting = undefined;
    throw explain(error);
  });
  return starting;
}

/** Ends the service of this process, if there is one. */
export async function closeService(): Promise<void> {
  const service = await starting?.catch(() => undefined);
  await service?.close();
}

/**
 * Wires the whole product.
 * @throws ConfigError naming every setting that is wrong
 */
export async function createService(environment: Environment, parts: Parts = {}): Promise<Service> {
  const settings = readSettings(environment);
  const { clock = systemClock, random = Math.random, writeLog = writeToConsole } = parts;
  const telemetry = createConsoleTelemetry({ clock, minLevel: settings.logLevel, write: writeLog });
  const credential = once(() => createCredential(settings));
  const model = createResilientModel({
    endpoints: [await primaryEndpoint(settings, credential)],
    settings: DEFAULT_RESILIENCE,
    clock,
    random,
    telemetry,
  });
  const agent = createAgent({ model, instructions: DEFAULT_INSTRUCTIONS });
  const batch = once(() => createBatch(settings, { agent, clock, telemetry, credential }));
  const checks: Checks = {
    chat: async () => chatStatus(model.endpoints(), clock.now()),
    batch: async (signal) => batchStatus(await batch(), signal),
  };
  return {
    agent,
    telemetry,
    maxRequestBytes: settings.maxRequestBytes,
    chatLimits: settings,
    readiness: createReadiness({ ...READINESS, checks, clock, telemetry }),
    batch,
    close: async () => (await batch.made())?.processor.stop(),
  };
}

/** The endpoint that the settings name: Azure OpenAI by key or identity, or any compatible one. */
async function primaryEndpoint(
  settings: Settings,
  credential: () => Promise<TokenCredential>,
): Promise<ModelEndpoint> {
  const { openAiApiKey, azureOpenAiEndpoint } = settings;
  if (azureOpenAiEndpoint === undefined) {
    return {
      name: 'primary',
      kind: 'openai',
      baseUrl: settings.openAiBaseUrl ?? OPENAI_BASE_URL,
      model: settings.openAiModel,
      apiKey: async () => openAiApiKey ?? '',
    };
  }
  return {
    name: 'primary',
    kind: 'azure',
    baseUrl: `${azureOpenAiEndpoint}/openai/v1`,
    model: settings.azureOpenAiDeployment ?? '',
    apiKey: openAiApiKey === undefined ? await tokens(credential) : async () => openAiApiKey,
  };
}

async function tokens(credential: () => Promise<TokenCredential>): Promise<() => Promise<string>> {
  const { getBearerTokenProvider } = await import('@azure/identity');
  return getBearerTokenProvider(await credential(), AZURE_OPENAI_SCOPE);
}

async function createCredential({ azureClientId }: Settings): Promise<TokenCredential> {
  const { DefaultAzureCredential } = await import('@azure/identity');
  return new DefaultAzureCredential(
    azureClientId === undefined ? {} : { managedIdentityClientId: azureClientId },
  );
}

interface BatchParts {
  readonly agent: Agent;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
  readonly credential: () => Promise<TokenCredential>;
}

async function createBatch(settings: Settings, parts: BatchParts): Promise<Batch> {
  const storage = storageSettings(settings);
  if (storage === undefined) {
    throw new ServiceError(
      'config_unavailable',
      'Cannot run batch jobs: AzureWebJobsStorage must be set',
    );
  }
  const connection =
    storage.kind === 'identity' ? { ...storage, credential: await parts.credential() } : storage;
  const [{ createBlobResultStore }, { createQueueJobSender }] = await Promise.all([
    import('./batch/blob-result-store.ts'),
    import('./batch/queue-job-sender.ts'),
  ]);
  const store = createBlobResultStore({
    connection,
    clock: parts.clock,
    telemetry: parts.telemetry,
  });
  const processor = createJobProcessor({
    agent: parts.agent,
    store,
    sender: createQueueJobSender(connection),
    concurrency: settings.batchConcurrency,
    jobDeadlineMs: settings.batchDeadlineMs,
    itemDeadlineMs: settings.answerDeadlineMs,
    clock: parts.clock,
    telemetry: parts.telemetry,
  });
  return { store, processor };
}

async function batchStatus(batch: Batch, signal: AbortSignal): Promise<PartStatus> {
  await batch.store.ping(signal);
  return { status: 'ready' };
}

interface Once<T> {
  (): Promise<T>;
  /** What was made, or undefined when nobody asked or it failed. */
  made(): Promise<T | undefined>;
}

/** Makes a thing when it is first asked for, once for all who ask, and forgets a failure. */
function once<T>(make: () => Promise<T>): Once<T> {
  let making: Promise<T> | undefined;
  function get(): Promise<T> {
    making ??= make().catch((error: unknown) => {
      making = undefined;
      throw error;
    });
    return making;
  }
  return Object.assign(get, { made: async () => making?.catch(() => undefined) });
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
