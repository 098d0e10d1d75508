import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { replay } from '../../../dev/batch/replay.ts';
import { jobOf } from '../../support/batch/jobs.ts';
import { storageProcessor } from '../../support/batch/storage-processor.ts';
import {
  startStorageEnvironment,
  type StorageEnvironment,
} from '../../support/batch/storage-environment.ts';

let environment: StorageEnvironment;

beforeAll(async () => {
  environment = await startStorageEnvironment();
});

afterAll(() => environment.stop());

async function said(name?: string): Promise<string> {
  let text = '';
  const { connectionString } = environment;
  const output = { write: (more: string) => (text += more) };
  const connection = { kind: 'connectionString', connectionString } as const;
  await replay({ connection, name, output });
  return text;
}

describe('dead letters', () => {
  it('Q12: are listed with their reasons, and replayed once their cause is gone', async () => {
    const { processor } = storageProcessor(environment);
    await processor.process(jobOf('taken', ['first']));
    await processor.process(jobOf('taken', ['second']));
    await processor.process('rubbish');
    const listed = await said();
    const names = [...listed.matchAll(/^(\S+\.json) {2}(.*)$/gm)].map(([, name, reason]) => ({
      name: name ?? '',
      reason: reason ?? '',
    }));
    const nameOf = (part: string) => names.find(({ reason }) => reason.includes(part))?.name ?? '';

    await expect(said(nameOf('neither JSON'))).rejects.toThrow(/^Cannot replay as it would fail/);
    await environment.results.getBlobClient('taken/batch.json').delete();
    const replayed = await said(nameOf('Another job'));

    expect(listed).toContain('2 dead letters\n');
    expect(replayed).toBe('job taken is on the queue again\n');
    expect((await environment.jobs.getProperties()).approximateMessagesCount).toBe(1);
    expect(await said()).toContain('1 dead letter\n');
    await expect(said('nothing.json')).rejects.toThrow(/there is no letter nothing.json$/);
  });
});
