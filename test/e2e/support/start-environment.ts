import { join } from 'node:path';
import { startAzurite } from '../../../dev/azurite.ts';
import { isBuildFresh } from '../../../dev/build-freshness.ts';
import { build } from '../../../dev/build.ts';
import { startHost, type HostOptions, type RunningHost } from '../../../dev/host/start-host.ts';
import {
  startDevelopmentModel,
  type DevelopmentModel,
} from '../../../dev/model/start-development-model.ts';
import { prepareStorage } from '../../../dev/prepare-storage.ts';
import { PROJECT_ROOT } from '../../../dev/project-root.ts';

export interface WorldOptions {
  /** The model that the app asks for: its name is the development model's script. */
  readonly model?: string;
  /** With `AzureWebJobsStorage` no emulator is started: the tests of a file may share theirs. */
  readonly settings?: Readonly<Record<string, string>>;
  readonly tokenDelayMs?: number;
  readonly timings?: HostOptions['timings'];
  readonly enableAuth?: boolean;
  readonly keys?: HostOptions['keys'];
  /** Another folder than the project's, such as a copy of the built package. */
  readonly appRoot?: string;
}

/** The built package on the local host, with a real storage emulator and the development model. */
export interface TestEnvironment {
  readonly url: string;
  readonly host: RunningHost;
  readonly model: DevelopmentModel;
  readonly connectionString: string;
  /** What host and app have printed so far. */
  readonly log: readonly string[];
  stop(): Promise<void>;
}

/** Polls an empty queue more often than host.json says, so that tests do not wait for it. */
const FAST_POLLING = {
  AzureFunctionsJobHost__extensions__queues__maxPollingInterval: '00:00:00.2',
};

export async function startEnvironment(options: WorldOptions = {}): Promise<TestEnvironment> {
  const root = PROJECT_ROOT;
  if (!(await isBuildFresh({ root, outDir: join(root, 'dist') }))) await build({ root });
  const [storage, model] = await Promise.all([
    useStorage(options.settings?.['AzureWebJobsStorage']),
    startDevelopmentModel({ tokenDelayMs: options.tokenDelayMs ?? 1, scale: 0.02 }),
  ]);
  const log: string[] = [];
  const host = await startHost({
    appRoot: options.appRoot ?? root,
    port: 0,
    environment: {
      AzureWebJobsStorage: storage.connectionString,
      ...FAST_POLLING,
      OPENAI_BASE_URL: model.url,
      OPENAI_API_KEY: 'development',
      OPENAI_MODEL: options.model ?? 'development-model',
      // Tests are one caller that asks a lot, and count the calls to the model.
      AGENT__LIMITS__REQUESTS_PER_MINUTE: '0',
      AGENT__LIMITS__TOKENS_PER_MINUTE: '0',
      AGENT__LIMITS__MAX_OPEN_CALLS_PER_CALLER: '0',
      AGENT__LIMITS__MAX_OPEN_CALLS: '10000',
      AGENT__CACHE__TTL_SECONDS: '0',
      ...options.settings,
    },
    log: (line) => log.push(`${line.level} ${line.message}`),
    // A client that disconnected may keep a connection open that it never used again.
    timings: { httpDrainMs: 500, ...options.timings },
    ...(options.enableAuth === undefined ? {} : { enableAuth: options.enableAuth }),
    ...(options.keys === undefined ? {} : { keys: options.keys }),
  });
  return {
    url: host.url,
    host,
    model,
    connectionString: storage.connectionString,
    log,
    async stop() {
      await host.stop();
      await Promise.all([model.stop(), storage.stop()]);
    },
  };
}

interface Storage {
  readonly connectionString: string;
  stop(): Promise<void>;
}

async function useStorage(shared: string | undefined): Promise<Storage> {
  if (shared !== undefined) return { connectionString: shared, stop: async () => undefined };
  const azurite = await startAzurite();
  await prepareStorage(azurite.connectionString);
  return { connectionString: azurite.connectionString, stop: () => azurite.stop() };
}
