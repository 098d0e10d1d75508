import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { findStorage } from '../../../dev/batch/find-storage.ts';
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
