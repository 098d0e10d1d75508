import { join } from 'node:path';
import { startAzurite } from '../../../dev/azurite.ts';
import { isBuildFresh } from '../../../dev/build-freshness.ts';
import { build } from '../../../dev/build.ts';
import {
  startDevelopmentModel,
  type DevelopmentModel,
} from '../../../dev/model/start-development-model.ts';
import { prepareStorage } from '../../../dev/prepare-storage.ts';
import { PROJECT_ROOT } from '../../../dev/project-root.ts';
import { shardOf } from '../../../shared/batch/storage/blob-paths.ts';
import { startStorageView, type StorageView } from '../../support/batch/storage-view.ts';
import { runScript, type RunningScript } from '../../support/run-script.ts';

export interface HostRun {
  readonly url: string;
  readonly script: RunningScript;
  workerPid(): number;
}

/** Storage and model that outlive the hosts that run on them, each a process of its own. */
export interface LastingEnvironment {
  readonly model: DevelopmentModel;
  readonly connectionString: string;
  readonly storage: StorageView;
  startHost(): Promise<HostRun>;
  /** Ends the holds of processes that died, so that a test does not wait 15 s for storage to. */
  breakHolds(): Promise<void>;
  stop(): Promise<void>;
}

const SCRIPT = join(import.meta.dirname, '..', 'fixtures', 'run-host.ts');

export async function startLastingEnvironment(
  settings: Readonly<Record<string, string>>,
): Promise<LastingEnvironment> {
  const root = PROJECT_ROOT;
  if (!(await isBuildFresh({ root, outDir: join(root, 'dist') }))) await build({ root });
  const [azurite, model] = await Promise.all([
    startAzurite(),
    startDevelopmentModel({ tokenDelayMs: 0 }),
  ]);
  const { connectionString } = azurite;
  await prepareStorage(connectionString);
  const storage = startStorageView(connectionString);
  const runs: RunningScript[] = [];
  return {
    model,
    connectionString,
    storage,
    async startHost() {
      const script = runScript(SCRIPT, {
        env: {
          AzureWebJobsStorage: connectionString,
          OPENAI_BASE_URL: model.url,
          OPENAI_API_KEY: 'development',
          ...settings,
        },
      });
      runs.push(script);
      await script.waitFor(/ready \S+\n/);
      const url = /ready (\S+)/.exec(script.stdout())?.[1] ?? '';
      return {
        url,
        script,
        workerPid: () =>
          Number(
            script
              .stdout()
              .match(/worker \d+\n/g)
              ?.at(-1)
              ?.slice(7),
          ),
      };
    },
    async breakHolds() {
      for await (const { name, isLeased: held } of storage.results.list('')) {
        if (!held || shardOf(name) === undefined) continue;
        await storage.container.getBlobClient(name).getBlobLeaseClient().breakLease(0);
      }
    },
    async stop() {
      for (const { child } of runs) child.kill('SIGKILL');
      await Promise.all(runs.map(({ ended }) => ended));
      await Promise.all([model.stop(), azurite.stop()]);
    },
  };
}
