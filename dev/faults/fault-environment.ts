import { join } from 'node:path';
import { type Azurite, startAzurite } from '../azurite.ts';
import { isBuildFresh } from '../build-freshness.ts';
import { build } from '../build.ts';
import { startHost } from '../host/start-host.ts';
import {
  type DevelopmentModel,
  startDevelopmentModel,
  type RecordedCall,
} from '../model/start-development-model.ts';
import { prepareStorage } from '../prepare-storage.ts';
import { PROJECT_ROOT } from '../project-root.ts';
import { startSecondEndpoint, type SecondEndpoint } from './second-endpoint.ts';
import { FAST_POLLING, UNLIMITED, WITHOUT_QUEUES } from './settings.ts';
import { requestReport, type WorkerReport } from './worker-report.ts';

/** Values that no caller and no log may contain. */
const KEY = 'canary-key-5d2c81';
const DEPLOYMENT = 'canary-deployment-9e47b0';
const SECOND_KEY = 'canary-key-f03a6e';
const SECOND_MODEL = 'canary-model-77c1d4';
/** Parts of the upstream's own pages. */
const UPSTREAM_TEXTS = ['<html', '<!doctype'];
/**
 * The scripted delays are minutes long; a fiftieth of that is still longer than every time limit.
 */
const SCALE = 0.02;
const TOKEN_DELAY_MS = 2;

export interface FaultEnvironmentOptions {
  readonly settings: Readonly<Record<string, string>>;
  readonly endpoints: 1 | 2;
  /** Starts the storage emulator; without it the functions that need storage are disabled. */
  readonly hasStorage?: true | undefined;
}

/** The built app on the local host with a scripted upstream, and what to observe during a fault. */
export interface FaultEnvironment {
  readonly url: string;
  /** The first endpoint, without a path. */
  readonly upstreamUrl: string;
  workerPid(): number | undefined;
  /** Of the storage emulator; empty without one. */
  readonly connectionString: string;
  /** Needs the setting `WORKER_REPORTS`. */
  reportWorker(): Promise<WorkerReport | undefined>;
  /** Calls to the first endpoint whose message contains the marker. */
  callsWith(marker: string): readonly RecordedCall[];
  secondCallsWith(marker: string): number;
  /** Requests that followed a redirect. */
  redirectHits(): Promise<number>;
  /** The lines that host and app have printed so far. */
  readonly log: readonly string[];
  /** Values that must be in no body, no header and no log line. */
  readonly canaries: readonly string[];
  stop(): Promise<void>;
}

/** Builds the app as `npm run build` does, if its sources have changed. */
export async function buildIfStale(): Promise<void> {
  const root = PROJECT_ROOT;
  if (!(await isBuildFresh({ root, outDir: join(root, 'dist') }))) await build({ root });
}

export async function startFaultEnvironment(
  options: FaultEnvironmentOptions,
): Promise<FaultEnvironment> {
  const [upstream, second, storage] = await Promise.all([
    startDevelopmentModel({ scale: SCALE, tokenDelayMs: TOKEN_DELAY_MS }),
    options.endpoints === 2 ? startSecondEndpoint() : undefined,
    options.hasStorage === true ? startStorage() : undefined,
  ]);
  const log: string[] = [];
  async function stopUpstreams(): Promise<void> {
    await Promise.all([upstream.stop(), second?.stop(), storage?.stop()]);
  }
  const host = await startHost({
    appRoot: PROJECT_ROOT,
    port: 0,
    environment: settingsOf(options, { upstream, second, storage }),
    log: ({ level, message }) => log.push(`${level} ${message}`),
    // A client that disconnected may keep a connection open that it did not use again.
    timings: { httpDrainMs: 500 },
  }).catch(async (error: unknown) => {
    await stopUpstreams();
    throw error;
  });
  const ports = [upstream.port, ...(second === undefined ? [] : [second.port])];
  const root = upstream.url.replace(/\/v1$/, '');
  return {
    url: host.url,
    upstreamUrl: root,
    workerPid: () => host.workerPid(),
    connectionString: storage?.connectionString ?? '',
    reportWorker: () => requestReport(host.workerPid(), log),
    callsWith: (marker) => upstream.calls().filter((call) => mentions(call, marker)),
    secondCallsWith: (marker) => second?.callsWith(marker) ?? 0,
    async redirectHits() {
      const stats = (await (await fetch(`${root}/dev/stats`)).json()) as { redirectHits?: unknown };
      return Number(stats.redirectHits);
    },
    log,
    canaries: [
      KEY,
      DEPLOYMENT,
      SECOND_KEY,
      SECOND_MODEL,
      ...ports.map((port) => `127.0.0.1:${port}`),
      ...UPSTREAM_TEXTS,
    ],
    async stop() {
      await host.stop();
      await stopUpstreams();
    },
  };
}

interface SettingsOptions {
  readonly upstream: DevelopmentModel;
  readonly second: SecondEndpoint | undefined;
  readonly storage: Azurite | undefined;
}

function settingsOf(
  { settings }: FaultEnvironmentOptions,
  { upstream, second, storage }: SettingsOptions,
): Readonly<Record<string, string>> {
  return {
    ...(storage === undefined
      ? WITHOUT_QUEUES
      : { AzureWebJobsStorage: storage.connectionString, ...FAST_POLLING }),
    AZURE_OPENAI_ENDPOINT: `http://127.0.0.1:${upstream.port}`,
    AZURE_OPENAI_DEPLOYMENT: DEPLOYMENT,
    OPENAI_API_KEY: KEY,
    ...(second === undefined ? {} : { MODEL_FALLBACKS: fallbacks(second.baseUrl) }),
    ...UNLIMITED,
    ...settings,
  };
}

async function startStorage(): Promise<Azurite> {
  const storage = await startAzurite();
  await prepareStorage(storage.connectionString);
  return storage;
}

function fallbacks(baseUrl: string): string {
  return JSON.stringify([{ name: 'second', baseUrl, model: SECOND_MODEL, apiKey: SECOND_KEY }]);
}

function mentions(call: RecordedCall, marker: string): boolean {
  return JSON.stringify(call.body).includes(marker);
}
