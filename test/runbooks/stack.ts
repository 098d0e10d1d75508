import { appendFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { QueueClient } from '@azure/storage-queue';
import { startAzurite } from '../../dev/azurite.ts';
import { startHost, type RunningHost } from '../../dev/host/start-host.ts';
import {
  startDevelopmentModel,
  type DevelopmentModel,
} from '../../dev/model/start-development-model.ts';
import { prepareStorage } from '../../dev/prepare-storage.ts';
import { PROJECT_ROOT } from '../../dev/project-root.ts';
import { startVaultEnvironment } from '../e2e/support/vault-environment.ts';
import type { Tables } from '../infra/support/run-kql.ts';
import { startIngestion } from '../support/ingestion.ts';
import type { LoopbackVault } from '../support/loopback-vault.ts';
import { startRedisEnvironment } from '../../dev/redis/redis-environment.ts';
import { createSelfSignedCertificate } from '../support/self-signed-certificate.ts';
import { toTables } from './log-rows.ts';

/** The exporter waits up to a minute by default; a rehearsal measures the app and not that. */
const EXPORT_AT_ONCE = {
  OTEL_METRIC_EXPORT_INTERVAL: '1000',
  OTEL_BSP_SCHEDULE_DELAY: '500',
  OTEL_BLRP_SCHEDULE_DELAY: '500',
};
/** Far above what a rehearsal sends. Requests are counted, so that each one calls Redis. */
const UNLIMITED = {
  AGENT__LIMITS__REQUESTS_PER_MINUTE: '1000000',
  AGENT__LIMITS__TOKENS_PER_MINUTE: '0',
  AGENT__LIMITS__MAX_OPEN_CALLS_PER_CALLER: '0',
};

export interface Reply {
  readonly status: number;
  readonly text: string;
}

/** Everything that an alert watches, with real parts on this machine, and ways to break each. */
export interface Stack {
  readonly vault: LoopbackVault;
  readonly connectionString: string;
  /** Tokens and requests of a caller are unlimited, unless `restart` says otherwise. */
  chat(message: string): Promise<Reply>;
  chats(count: number, message: string): Promise<readonly Reply[]>;
  get(path: string): Promise<Reply>;
  post(path: string, body: object): Promise<Reply>;
  /** Rows of the tables since a time. */
  rows(since: Date): Tables;
  queue(name: string): QueueClient;
  /** Stops the app and starts it with further settings: what a deployment of settings does. */
  restart(settings?: Readonly<Record<string, string>>): Promise<void>;
  stopApp(): Promise<void>;
  /** Answers 429 to every fourth call of the model, or to none. */
  throttleModel(isThrottled: boolean): void;
  stopModel(): Promise<void>;
  startModel(): Promise<void>;
  breakRedis(isBroken: boolean): void;
  close(): Promise<void>;
}

export async function startStack(): Promise<Stack> {
  const tls = createSelfSignedCertificate('localhost');
  const [ingestion, vaultEnvironment, azurite, redis, firstModel] = await Promise.all([
    startIngestion({ tls }),
    startVaultEnvironment(),
    startAzurite(),
    startRedisEnvironment(),
    startDevelopmentModel({ tokenDelayMs: 1 }),
  ]);
  const { vault } = vaultEnvironment;
  await appendFile(vaultEnvironment.settings['NODE_EXTRA_CA_CERTS'] ?? '', `\n${tls.cert}`);
  await prepareStorage(azurite.connectionString);
  vault.set('openai-api-key', 'first-key');
  vault.set('upstash-redis-rest-token', redis.bridge.token);
  const settings = {
    ...vaultEnvironment.settings,
    ...EXPORT_AT_ONCE,
    ...UNLIMITED,
    AzureWebJobsStorage: azurite.connectionString,
    APPLICATIONINSIGHTS_CONNECTION_STRING: ingestion.connectionString,
    UPSTASH_REDIS_REST_URL: redis.bridge.url,
    OPENAI_BASE_URL: firstModel.url,
    OPENAI_MODEL: 'development-model',
    AGENT__SECRETS__REFRESH_MS: '1000',
    AGENT__BATCH__QUEUE_OWNER: 'address:unknown',
    AzureFunctionsJobHost__extensions__queues__maxPollingInterval: '00:00:00.2',
  };
  let model: DevelopmentModel | undefined = firstModel;
  let host: RunningHost | undefined;

  async function startApp(more: Readonly<Record<string, string>> = {}): Promise<void> {
    host = await startHost({
      appRoot: PROJECT_ROOT,
      port: 0,
      environment: { ...settings, ...more },
      log: () => undefined,
      timings: { httpDrainMs: 500 },
    });
    const giveUpAt = performance.now() + 30_000;
    while ((await send('/ready')).status !== 200) {
      if (performance.now() > giveUpAt) throw new Error('The app did not become ready');
      await delay(100);
    }
  }
  async function stopApp(): Promise<void> {
    await host?.stop();
    host = undefined;
  }
  async function send(path: string, body?: unknown): Promise<Reply> {
    if (host === undefined) return { status: 0, text: '' };
    const json = { 'content-type': 'application/json', 'cache-control': 'no-store' };
    const response = await fetch(host.url + path, {
      ...(body !== undefined && { method: 'POST', headers: json, body: JSON.stringify(body) }),
    });
    return { status: response.status, text: await response.text() };
  }
  async function stopModel(): Promise<void> {
    await model?.stop();
    model = undefined;
  }
  const chat = (message: string) => send('/api/chat', { message });

  await startApp();
  return {
    vault,
    connectionString: azurite.connectionString,
    chat,
    chats: (count, message) =>
      Promise.all(Array.from({ length: count }, (_, index) => chat(`${message} ${index}`))),
    get: (path) => send(path),
    post: (path, body) => send(path, body),
    rows: (since) => toTables(ingestion.envelopes, since),
    queue: (name) => new QueueClient(azurite.connectionString, name),
    async restart(more) {
      await stopApp();
      await startApp(more);
    },
    stopApp,
    throttleModel(isThrottled) {
      let calls = 0;
      model?.limitRate(() => {
        calls += 1;
        return isThrottled && calls % 4 === 0 ? { 'retry-after-ms': '50' } : undefined;
      });
    },
    stopModel,
    async startModel() {
      model ??= await startDevelopmentModel({ port: firstModel.port, tokenDelayMs: 1 });
    },
    breakRedis: (isBroken) =>
      redis.bridge.inject(isBroken ? { kind: 'status', status: 503 } : undefined),
    async close() {
      await stopApp();
      await stopModel();
      await Promise.all([
        redis.close(),
        ingestion.close(),
        vaultEnvironment.stop(),
        azurite.stop(),
      ]);
    },
  };
}
