import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { PROJECT_ROOT } from '../../../dev/project-root.ts';
import { startStorageEnvironment } from '../../support/batch/storage-environment.ts';
import { runScript } from '../../support/run-script.ts';

const SCRIPT = join(PROJECT_ROOT, 'dev', 'batch.ts');
const BATCH = {
  id: 'batch_1',
  status: 'in_progress',
  output_file_id: null,
  error_file_id: null,
  request_counts: { completed: 0, failed: 0 },
  errors: null,
};

let folder: string;
let input: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'batch-'));
  input = join(folder, 'in.jsonl');
  await writeFile(input, '{"custom_id":"a","body":{"message":"x"}}\n');
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** An app that takes files, and whose batches never end. */
async function startApp(answers: (path: string) => boolean): Promise<string> {
  const app: Server = createServer(({ url = '' }, response) => {
    if (answers(url)) response.end(JSON.stringify(url === '/v1/files' ? { id: 'file' } : BATCH));
  });
  onTestFinished(() => {
    app.closeAllConnections();
    app.close();
  });
  await new Promise<void>((resolve) => app.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(app.address() as AddressInfo).port}`;
}

describe('npm run batch that is interrupted', () => {
  it('by HTTP names the batch, not the name that only it knows', async () => {
    const url = await startApp(() => true);
    const run = runScript(SCRIPT, { args: [input, '--url', url] });
    await run.waitFor('0 of 1');

    run.child.kill('SIGINT');

    expect(await run.ended).toEqual({ code: 1, signal: null });
    expect(run.stderr()).toMatch(/^Interrupted: the job goes on; .* --job batch_1 picks it up\n$/);
  });

  it('by HTTP ends at once while the app is silent, and promises nothing', async () => {
    const asked = Promise.withResolvers<void>();
    const url = await startApp(() => {
      asked.resolve();
      return false;
    });
    const run = runScript(SCRIPT, { args: [input, '--url', url] });
    await asked.promise;

    run.child.kill('SIGINT');

    expect(await run.ended).toEqual({ code: 1, signal: null });
    expect(run.stderr()).toBe('Interrupted before the app had taken the batch\n');
  });

  it('by the queue has said what it waits for, and names the job', async () => {
    const storage = await startStorageEnvironment();
    onTestFinished(() => storage.stop());
    const env = { AzureWebJobsStorage: storage.connectionString };
    const run = runScript(SCRIPT, { args: [input, '--job', 'mine'], env });
    await run.waitFor(/waiting \d+ s for the app to start the batch: is it running\?/);

    run.child.kill('SIGINT');

    expect(await run.ended).toEqual({ code: 1, signal: null });
    expect(run.stderr()).toMatch(/ --job mine picks it up\n$/);
  });
});
