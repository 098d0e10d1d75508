import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { BlobServiceClient } from '@azure/storage-blob';
import { QueueServiceClient } from '@azure/storage-queue';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startAzurite } from '../../dev/azurite.ts';
import type { Azurite } from '../../dev/azurite.ts';
import { prepareStorage } from '../../dev/prepare-storage.ts';
import { waitUntilGone } from '../support/processes.ts';
import { runScript } from '../support/run-script.ts';

describe('startAzurite', () => {
  it('serves blobs, queues and tables when it resolves, each on a port of its own', async () => {
    const azurite = await startAzurite();

    const { blob, queue, table } = azurite.ports;
    const answers = await Promise.all(
      [blob, queue, table].map((port) => fetch(`http://127.0.0.1:${port}/`)),
    );
    expect(new Set([blob, queue, table]).size).toBe(3);
    expect(answers.every((answer) => answer.status >= 400)).toBe(true);
    await azurite.stop();
  });

  it('ends with its process when stopped, and that is no failure', async () => {
    const azurite = await startAzurite();
    let failure: Error | undefined;
    void azurite.failed.then((error) => (failure = error));

    await azurite.stop();

    await waitUntilGone([azurite.pid]);
    expect(failure).toBeUndefined();
  });

  it('tells when the emulator dies', async () => {
    const azurite = await startAzurite();

    process.kill(azurite.pid, 'SIGKILL');

    const failure = await azurite.failed;
    expect(failure.message).toBe('The storage emulator is gone: it ended with SIGKILL');
  });

  it('says in one line why it cannot start', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'azurite-'));
    await writeFile(join(folder, '__azurite_db_blob__.json'), 'no database');

    const starting = startAzurite({ folder });

    await expect(starting).rejects.toThrow(/^Cannot start the storage emulator: .*code 1.*$/);
    await rm(folder, { recursive: true, force: true });
  });

  it('keeps what was stored when it has a folder', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'azurite-'));
    const first = await startAzurite({ folder: relative(process.cwd(), folder) });
    await prepareStorage(first.connectionString);
    const queueOf = (azurite: Azurite) =>
      QueueServiceClient.fromConnectionString(azurite.connectionString).getQueueClient(
        'batch-jobs',
      );
    await queueOf(first).sendMessage('kept');
    await first.stop();

    const second = await startAzurite({ folder });

    const peeked = await queueOf(second).peekMessages();
    expect(peeked.peekedMessageItems.map((item) => item.messageText)).toEqual(['kept']);
    await second.stop();
    await rm(folder, { recursive: true, force: true });
  });

  it('does not outlive a parent that is killed', async () => {
    const parent = runScript(join(import.meta.dirname, 'fixtures', 'run-azurite.ts'));
    await parent.waitFor(/azurite \d+\n/);
    const pid = Number(/azurite (\d+)/.exec(parent.stdout())?.[1]);

    parent.child.kill('SIGKILL');

    expect(pid).toBeGreaterThan(0);
    await waitUntilGone([parent.pid, pid]);
  });
});

describe('prepareStorage', () => {
  let azurite: Azurite;

  beforeAll(async () => {
    azurite = await startAzurite();
  });

  afterAll(async () => {
    await azurite.stop();
  });

  it('creates the queues and containers, and leaves them alone when they exist', async () => {
    const queues = QueueServiceClient.fromConnectionString(azurite.connectionString);
    const blobs = BlobServiceClient.fromConnectionString(azurite.connectionString);

    await prepareStorage(azurite.connectionString);
    await queues.getQueueClient('batch-jobs').sendMessage('stays');
    await prepareStorage(azurite.connectionString);

    const queueNames = await Array.fromAsync(queues.listQueues(), (queue) => queue.name);
    const containers = await Array.fromAsync(blobs.listContainers(), (container) => container.name);
    const peeked = await queues.getQueueClient('batch-jobs').peekMessages();
    expect(queueNames).toEqual([
      'agent-runs',
      'agent-runs-poison',
      'batch-jobs',
      'batch-jobs-poison',
    ]);
    expect(containers).toEqual([
      'agent-runs',
      'batch-input',
      'batch-results',
      'conversations',
      'idempotency',
    ]);
    expect(peeked.peekedMessageItems).toHaveLength(1);
  });

  it.each([
    ['is no connection string', 'rubbish'],
    [
      'leads nowhere',
      'DefaultEndpointsProtocol=http;AccountName=a;AccountKey=YQ==;BlobEndpoint=http://127.0.0.1:1/a;QueueEndpoint=http://127.0.0.1:1/a;',
    ],
  ])('says in one line that the connection %s', async (_case, connection) => {
    await expect(prepareStorage(connection)).rejects.toThrow(
      /^Cannot (use|prepare) .*AzureWebJobsStorage.+$/,
    );
  });
});
