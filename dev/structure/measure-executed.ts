import { copyFile, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { QueueClient } from '@azure/storage-queue';
import { startAzurite } from '../azurite.ts';
import { startHost, type RunningHost } from '../host/start-host.ts';
import { startDevelopmentModel } from '../model/start-development-model.ts';
import { prepareStorage } from '../prepare-storage.ts';
import { createCoverageReader, type Calls } from './coverage.ts';

/** The functions of `shared/` that one request calls. */
export interface Executed {
  readonly chat: Calls;
  /** A queue message with one item, from its delivery until its batch has ended. */
  readonly job: Calls;
  /** The part of `job` that runs again for each further item. */
  readonly item: Calls;
}

const QUEUE = 'batch-jobs';
const FURTHER_ITEMS = 10;
const POLL_MS = 50;
const JOB_TIMEOUT_MS = 60_000;

/**
 * Runs the app from source on the local host, with the development model and the storage emulator,
 * and measures with V8 coverage which functions the second chat and the second batch job call. The
 * first ones also start the app.
 */
export async function measureExecuted(root: string): Promise<Executed> {
  const appRoot = await mkdtemp(join(tmpdir(), 'executed-'));
  const stops = [() => rm(appRoot, { recursive: true, force: true })];
  try {
    const folder = join(appRoot, 'coverage');
    await linkSource(root, appRoot);
    const [azurite, model] = await Promise.all([startAzurite(), startDevelopmentModel()]);
    stops.push(
      () => azurite.stop(),
      () => model.stop(),
    );
    const { connectionString } = azurite;
    await prepareStorage(connectionString);
    const preload = pathToFileURL(join(import.meta.dirname, 'take-coverage.ts')).href;
    const host = await startHost({
      appRoot,
      port: 0,
      log: () => undefined,
      environment: {
        AzureWebJobsStorage: connectionString,
        OPENAI_BASE_URL: model.url,
        OPENAI_API_KEY: 'unused',
        OPENAI_MODEL: 'dev/instant',
        NODE_V8_COVERAGE: folder,
        languageWorkers__node__arguments: `--import ${preload}`,
      },
    });
    stops.push(() => host.stop());
    const reader = createCoverageReader({ folder, pid: host.workerPid() ?? 0, root });
    const queue = new QueueClient(connectionString, QUEUE);
    await chat(host, 'first');
    await reader.readUntilIdle();
    await chat(host, 'second');
    const ofChat = await reader.readUntilIdle();
    await runJob(queue, { id: 'first', items: 1 });
    await reader.readUntilIdle();
    await runJob(queue, { id: 'second', items: 1 });
    const job = await reader.readUntilIdle();
    await runJob(queue, { id: 'third', items: 1 + FURTHER_ITEMS });
    return { chat: ofChat, job, item: growthOf(job, await reader.readUntilIdle()) };
  } finally {
    for (const stop of stops.toReversed()) await stop();
  }
}

/** A folder that the host accepts as an app whose triggers are the sources. */
async function linkSource(root: string, appRoot: string): Promise<void> {
  await symlink(join(root, 'functions'), join(appRoot, 'functions'), 'dir');
  await copyFile(join(root, 'host.json'), join(appRoot, 'host.json'));
  const manifest = { type: 'module', main: 'functions/*.ts' };
  await writeFile(join(appRoot, 'package.json'), JSON.stringify(manifest));
}

async function chat({ url }: RunningHost, message: string): Promise<void> {
  const response = await fetch(`${url}/api/chat`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ message }),
  });
  const body = await response.text();
  if (response.status !== 200) throw new Error(`Cannot measure as the chat failed: ${body}`);
}

/** Sends a job and resolves when its message, and any that it sent, is off the queue. */
async function runJob(
  queue: QueueClient,
  { id, items }: { readonly id: string; readonly items: number },
): Promise<void> {
  const list = Array.from({ length: items }, (_, index) => ({
    custom_id: `${index}`,
    body: { message: `${id} ${index}` },
  }));
  await queue.sendMessage(JSON.stringify({ v: 1, jobId: id, items: list }));
  const deadline = performance.now() + JOB_TIMEOUT_MS;
  for (;;) {
    await delay(POLL_MS);
    const { approximateMessagesCount = 0 } = await queue.getProperties();
    if (approximateMessagesCount === 0) return;
    if (performance.now() > deadline) throw new Error('Cannot measure as the batch did not end');
  }
}

/** Functions that were called at least once more for each further item. */
function growthOf(one: Calls, many: Calls): Calls {
  const grown = [...many].map(([path, functions]) => {
    const before = one.get(path);
    const own = [...functions]
      .map(([name, count]) => [name, count - (before?.get(name) ?? 0)] as const)
      .filter(([, more]) => more >= FURTHER_ITEMS);
    return [path, new Map(own)] as const;
  });
  return new Map(grown.filter(([, functions]) => functions.size > 0));
}
