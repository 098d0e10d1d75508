import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { findStorage, openStorage } from '../../../dev/batch/find-storage.ts';
import { writeStartRecord } from '../../../dev/start/start-record.ts';

let root: string;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'storage-'));
});

afterEach(async () => {
  await rm(root, { recursive: true, force: true });
});

describe('findStorage', () => {
  it('takes the shell first, then a running start, then local.settings.json', async () => {
    const shell = { AzureWebJobsStorage: 'of the shell' };
    const Values = { AzureWebJobsStorage: 'of the file' };
    await writeFile(join(root, 'local.settings.json'), JSON.stringify({ Values }));
    const fromFile = await findStorage(root, {});
    await writeStartRecord(root, { pid: process.pid, url: 'http://x', storage: 'of the start' });

    const fromStart = await findStorage(root, { AzureWebJobsStorage: '' });
    const fromShell = await findStorage(root, shell);

    expect([fromFile, fromStart, fromShell]).toEqual([
      'of the file',
      'of the start',
      'of the shell',
    ]);
  });

  it('names both ways out when there is none', async () => {
    await expect(findStorage(root, {})).rejects.toThrow(
      /^Cannot find the storage of the app: run 'npm start' .* or set AzureWebJobsStorage$/,
    );
  });
});

describe('openStorage', () => {
  it('reaches a named account by the login of the operator, without any connection string', async () => {
    const connection = await openStorage({ root, environment: {}, account: 'stagent1' });

    expect(connection).toMatchObject({
      kind: 'identity',
      blobUri: 'https://stagent1.blob.core.windows.net',
      queueUri: 'https://stagent1.queue.core.windows.net',
    });
  });

  it.each(['', 'ab', 'With-Dash', 'a'.repeat(25), 'evil.example.com/x'])(
    'refuses what is no name of an account: "%s"',
    async (account) => {
      const opening = openStorage({ root, environment: {}, account });

      await expect(opening).rejects.toThrow(/'--account' as it must be the name/);
    },
  );

  it('uses the connection string of the app without an account, and refuses a wrong one', async () => {
    const environment = { AzureWebJobsStorage: 'UseDevelopmentStorage=true' };

    const connection = await openStorage({ root, environment, account: undefined });
    const wrong = openStorage({
      root,
      environment: { AzureWebJobsStorage: 'foo' },
      account: undefined,
    });

    expect(connection).toMatchObject({ kind: 'connectionString' });
    await expect(wrong).rejects.toThrow('must be the connection string of a storage account');
  });
});
