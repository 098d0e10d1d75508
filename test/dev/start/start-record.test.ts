import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  readStartRecord,
  removeStartRecord,
  writeStartRecord,
} from '../../../dev/start/start-record.ts';
import { runScript } from '../../support/run-script.ts';

const RECORD = { pid: process.pid, url: 'http://127.0.0.1:7071', storage: 'connection' };

let root: string;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'record-'));
});

afterEach(async () => {
  await rm(root, { recursive: true, force: true });
});

describe('the record of a running start', () => {
  it('is read back while its process runs, and only its owner may read it', async () => {
    await writeStartRecord(root, RECORD);

    const { mode } = await stat(join(root, '.agent', 'start.json'));
    expect(await readStartRecord(root)).toEqual(RECORD);
    expect(mode & 0o077).toBe(0);
  });

  it('counts for nothing once its process is gone', async () => {
    const gone = runScript('--version');
    await gone.ended;

    await writeStartRecord(root, { ...RECORD, pid: gone.pid });

    expect(await readStartRecord(root)).toBeUndefined();
  });

  it.each(['', '{"pid":', '{"pid":"x"}', '[]'])(
    'counts for nothing when it says %j',
    async (text) => {
      await writeStartRecord(root, RECORD);
      await writeFile(join(root, '.agent', 'start.json'), text);

      expect(await readStartRecord(root)).toBeUndefined();
    },
  );

  it('is removed by its owner, and left alone by others', async () => {
    await writeStartRecord(root, { ...RECORD, pid: process.ppid });
    await removeStartRecord(root);
    const ofAnother = await readFile(join(root, '.agent', 'start.json'), 'utf8');
    await writeStartRecord(root, RECORD);

    await removeStartRecord(root);

    expect(ofAnother).toContain(String(process.ppid));
    expect(await readStartRecord(root)).toBeUndefined();
  });
});
