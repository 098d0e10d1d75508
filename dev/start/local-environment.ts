import { join } from 'node:path';
import { startAzurite } from '../azurite.ts';
import { isBuildFresh } from '../build-freshness.ts';
import { build } from '../build.ts';
import { createKeys } from '../host/http/keys.ts';
import { startHost } from '../host/start-host.ts';
import { startDevelopmentModel } from '../model/start-development-model.ts';
import { CliError, firstLine } from '../cli-error.ts';
import { prepareStorage } from '../prepare-storage.ts';
import { isListening, portFailure, requireFreePort, waitUntilServed } from './network.ts';
import { withModel } from './plan-start.ts';
import type { StartPlan } from './plan-start.ts';

/** The well-known ports of a storage emulator that already runs: blobs and queues. */
const EMULATOR_PORTS = [10_000, 10_001] as const;
/** A busy machine may need this long; an idle one needs a fraction of a second. */
const SERVE_TIMEOUT_MS = 30_000;

export interface LocalEnvironmentOptions {
  readonly root: string;
  readonly plan: StartPlan;
  readonly print: (line: string) => void;
}

/** Everything that `npm start` runs, as one unit that can fail and be stopped. */
export interface LocalEnvironment {
  readonly url: string;
  readonly model: RunningPart;
  readonly storage: RunningPart;
  /** The key that callers must send if keys are required. */
  readonly functionKey: string | undefined;
  /** Resolves with the reason if a server ends without a stop. */
  readonly failed: Promise<Error>;
}

/** One server: where it is, and whether this process started it. */
export interface RunningPart {
  readonly where: string;
  readonly ours: boolean;
  /** For the storage: the connection string for other processes, if there is one. */
  readonly connectionString?: string;
}

/** The started servers in order. They are stopped in reverse order, at any time. */
export interface CleanupStack {
  add(stop: () => Promise<void>): Promise<void>;
  /** Whether a stop has begun: from then on a server that ends has not failed. */
  isStopping(): boolean;
  stopAll(): Promise<void>;
}

/** Starts the servers of the plan, each after those that it needs. */
export async function startLocalEnvironment(
  options: LocalEnvironmentOptions,
  stops: CleanupStack,
): Promise<LocalEnvironment> {
  const { root, plan, print } = options;
  await requireFreePort(plan.port);
  await buildIfNeeded(root, print);
  const [storage, model] = await Promise.all([startStorage(plan, stops), startModel(plan, stops)]);
  const environment = withModel(plan, model.ours ? model.where : undefined);
  // Locally no front end adds the address of the client; queue jobs belong to that caller.
  environment['AGENT__BATCH__QUEUE_OWNER'] ??= 'address:unknown';
  if (storage.connectionString !== undefined) {
    environment['AzureWebJobsStorage'] = storage.connectionString;
    await prepareStorage(storage.connectionString);
  }
  const keys = plan.enableAuth ? createKeys() : undefined;
  const host = await startHost({
    appRoot: root,
    port: plan.port,
    environment,
    enableAuth: plan.enableAuth,
    ...(keys === undefined ? {} : { keys }),
    // Everything goes to standard output: standard error has only the reason of a failed start.
    log: ({ level, category, message }) => print(`[${level}] ${category}: ${message}`),
  }).catch((error: unknown) => {
    throw hostFailure(error, plan.port);
  });
  await stops.add(() => host.stop());
  const failed = Promise.race([host.failed, storage.failed]);
  const serving = waitUntilServed(`${host.url}/health`, SERVE_TIMEOUT_MS);
  await Promise.race([serving, failed.then((error) => Promise.reject(error))]);
  return { url: host.url, model, storage, functionKey: keys?.host['default'], failed };
}

function hostFailure(error: unknown, port: number): unknown {
  const failure = portFailure(error, port);
  if (failure instanceof CliError) return failure;
  return new CliError(`Cannot start the functions: ${firstLine(error)}`, { cause: error });
}

/**
 * Collects the stop functions of running servers. A server that comes up during a stop is stopped
 * at once.
 */
export function createCleanupStack(): CleanupStack {
  const pending: (() => Promise<void>)[] = [];
  let stopping = false;
  return {
    async add(stop) {
      pending.push(stop);
      if (stopping) await drain(pending);
    },
    isStopping: () => stopping,
    async stopAll() {
      stopping = true;
      await drain(pending);
    },
  };
}

async function drain(pending: (() => Promise<void>)[]): Promise<void> {
  for (let stop = pending.pop(); stop !== undefined; stop = pending.pop()) await stop();
}

async function buildIfNeeded(root: string, print: (line: string) => void): Promise<void> {
  if (await isBuildFresh({ root, outDir: join(root, 'dist') })) return;
  const startedAt = performance.now();
  await build({ root });
  print(`built dist/ in ${Math.round(performance.now() - startedAt)} ms`);
}

async function startStorage(
  plan: StartPlan,
  stops: CleanupStack,
): Promise<RunningPart & { readonly failed: Promise<Error> }> {
  const never = new Promise<Error>(() => undefined);
  const connectionString = plan.settings['AzureWebJobsStorage'] ?? '';
  if (plan.storage === 'given') {
    const where = 'as AzureWebJobsStorage says';
    if (connectionString.trim() === '') return { where, ours: false, failed: never };
    return { where, ours: false, connectionString, failed: never };
  }
  if (plan.storage === 'emulator' && (await isEmulatorThere())) {
    return { where: 'the emulator on port 10000', ours: false, connectionString, failed: never };
  }
  const azurite = await startAzurite({ folder: plan.storageFolder });
  await stops.add(() => azurite.stop());
  const { blob, queue, table } = azurite.ports;
  const place = plan.storageFolder === undefined ? 'in memory' : `in ${plan.storageFolder}`;
  return {
    where: `${place}, blobs ${blob}, queues ${queue}, tables ${table}`,
    ours: true,
    connectionString: azurite.connectionString,
    failed: azurite.failed,
  };
}

async function isEmulatorThere(): Promise<boolean> {
  const answers = await Promise.all(EMULATOR_PORTS.map((port) => isListening(port)));
  const isThere = answers.every(Boolean);
  if (!isThere && answers.some(Boolean)) {
    throw new CliError(
      'Cannot start as the emulator of UseDevelopmentStorage=true must serve ports 10000 and 10001: only one of them answers',
    );
  }
  return isThere;
}

async function startModel(plan: StartPlan, stops: CleanupStack): Promise<RunningPart> {
  if (plan.model === 'given') return { where: 'as the settings say', ours: false };
  const model = await startDevelopmentModel();
  await stops.add(() => model.stop());
  return { where: model.url, ours: true };
}
