import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { startAzurite } from '../azurite.ts';
import { UNLIMITED } from '../faults/settings.ts';
import { startHost } from '../host/start-host.ts';
import { startDevelopmentModel } from '../model/start-development-model.ts';
import { prepareStorage } from '../prepare-storage.ts';
import { PROJECT_ROOT } from '../project-root.ts';

const ITEMS = 1_000;
const ITEM_MS = 200;
const CONCURRENCY = 50;

/** The share of the ideal speed at which a queue job of 1,000 items calls the model. */
export async function measureBatch(): Promise<number> {
  const folder = await mkdtemp(join(tmpdir(), 'bench-batch-'));
  const stops = [() => rm(folder, { recursive: true, force: true })];
  try {
    const [azurite, model] = await Promise.all([startAzurite(), startDevelopmentModel()]);
    stops.push(
      () => azurite.stop(),
      () => model.stop(),
    );
    await prepareStorage(azurite.connectionString);
    const environment = {
      ...UNLIMITED,
      AzureWebJobsStorage: azurite.connectionString,
      OPENAI_BASE_URL: model.url,
      OPENAI_API_KEY: 'bench',
      OPENAI_MODEL: `dev/slow-${ITEM_MS}`,
      AGENT__BATCH__CONCURRENCY: String(CONCURRENCY),
      // One message at a time, or the concurrency would be that of all shards that run at once.
      AzureFunctionsJobHost__extensions__queues__batchSize: '1',
      AzureFunctionsJobHost__extensions__queues__newBatchThreshold: '0',
    };
    const host = await startHost({
      appRoot: PROJECT_ROOT,
      port: 0,
      environment,
      log: () => undefined,
    });
    stops.push(() => host.stop());
    const input = join(folder, 'in.jsonl');
    await writeFile(input, listItems());
    const client = join(PROJECT_ROOT, 'dev', 'batch.ts');
    await promisify(execFile)(
      process.execPath,
      [client, input, '--out', join(folder, 'out.jsonl')],
      { env: { ...process.env, AzureWebJobsStorage: azurite.connectionString } },
    );
    const calls = model.calls();
    const firstAt = Math.min(...calls.map(({ startedAt }) => startedAt));
    const lastAt = Math.max(...calls.map(({ endedAt }) => endedAt ?? Infinity));
    return (calls.length * ITEM_MS) / CONCURRENCY / (lastAt - firstAt);
  } finally {
    for (const stop of stops.toReversed()) await stop();
  }
}

/** Short lines: the job is to fit into one message, for two jobs would run side by side. */
function listItems(): string {
  const lines = Array.from({ length: ITEMS }, (_, index) =>
    JSON.stringify({ custom_id: `${index}`, body: { message: `${index}` } }),
  );
  return `${lines.join('\n')}\n`;
}
