import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { startAzurite } from '../azurite.ts';
import { UNLIMITED } from '../faults/settings.ts';
import { startHost } from '../host/start-host.ts';
import type { RecordedCall } from '../model/call-log.ts';
import { startDevelopmentModel } from '../model/start-development-model.ts';
import { prepareStorage } from '../prepare-storage.ts';
import { PROJECT_ROOT } from '../project-root.ts';
import { readCpuUs } from './read-cpu.ts';

const ITEM_MS = 200;
const CONCURRENCY = 50;
/** Whole rounds only: a partial one would leave slots empty, and no speed could be ideal. */
const ROUNDS = 20;

const STRAGGLER_MS = 10_000;

/** The speed at which queue jobs of 1,000 items call the model, as a share of the ideal speed. */
export interface BatchFigures {
  readonly alone: number;
  /** The speed of all other items while the first one takes ten seconds. */
  readonly besideStraggler: number;
  /** CPU time of the worker for one item of a job of 1,000 with an instant model, in microseconds. */
  readonly itemCpuUs: number;
}

export async function measureBatch(): Promise<BatchFigures> {
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
      // One message at a time: otherwise the concurrency would be that of all shards together.
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
    async function run(name: string, lines: readonly string[]): Promise<readonly RecordedCall[]> {
      const input = join(folder, name);
      await writeFile(input, lines.join(''));
      const before = model.calls().length;
      await promisify(execFile)(
        process.execPath,
        [join(PROJECT_ROOT, 'dev', 'batch.ts'), input, '--out', `${input}.out`],
        { env: { ...process.env, AzureWebJobsStorage: azurite.connectionString } },
      );
      return model.calls().slice(before);
    }
    const alone = await run('alone.jsonl', listItems(CONCURRENCY * ROUNDS));
    const [first = '', ...others] = listItems(1 + (CONCURRENCY - 1) * ROUNDS);
    const slow = first.replace('"message":"', `"message":"dev/slow-${STRAGGLER_MS} `);
    const beside = await run('straggler.jsonl', [slow, ...others]);
    const instant = listItems(CONCURRENCY * ROUNDS).map((line) =>
      line.replace('"message":"', '"message":"dev/instant '),
    );
    const cpuBefore = await readCpuUs(host.workerPid() ?? 0);
    await run('instant.jsonl', instant);
    const itemCpuUs = ((await readCpuUs(host.workerPid() ?? 0)) - cpuBefore) / instant.length;
    return {
      itemCpuUs,
      alone: shareOfIdeal(alone, CONCURRENCY),
      besideStraggler: shareOfIdeal(beside.filter(isQuick), CONCURRENCY - 1),
    };
  } finally {
    for (const stop of stops.toReversed()) await stop();
  }
}

function shareOfIdeal(calls: readonly RecordedCall[], lanes: number): number {
  const firstAt = Math.min(...calls.map(({ startedAt }) => startedAt));
  const lastAt = Math.max(...calls.map(({ endedAt }) => endedAt ?? Infinity));
  return (calls.length * ITEM_MS) / lanes / (lastAt - firstAt);
}

function isQuick({ startedAt, endedAt = Infinity }: RecordedCall): boolean {
  return endedAt - startedAt < STRAGGLER_MS / 2;
}

/** Short lines, so that the job fits into one message: two jobs would run at the same time. */
function listItems(length: number): string[] {
  return Array.from({ length }, (_, index) => {
    return `${JSON.stringify({ custom_id: `${index}`, body: { message: `${index}` } })}\n`;
  });
}
