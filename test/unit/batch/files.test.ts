import { describe, expect, it } from 'vitest';
import {
  linesOf,
  openAi,
  OWNER,
  setUp,
  textOf,
  type BatchEnvironment,
} from '../../support/batch/batch-environment.ts';

const HOUR_MS = 3_600_000;
const PAGE = { after: undefined, limit: 10_000, order: 'desc', purpose: undefined } as const;

async function upload(environment: BatchEnvironment, filename: string, owner = OWNER) {
  environment.time.now += 1_000;
  async function* chunks() {
    yield Buffer.from('line\n');
  }
  return environment.files.create({ owner, filename, chunks: chunks() });
}

async function namesOf(environment: BatchEnvironment, page: object = {}) {
  const { files, hasMore } = await environment.files.list(OWNER, { ...PAGE, ...page });
  return [files.map(({ filename }) => filename).join(' '), hasMore];
}

const contentBlobs = (environment: BatchEnvironment) =>
  [...environment.store.container.blobs]
    .filter(([name, { content }]) => content.byteLength > 0 && /journal|part|output/.test(name))
    .map(([name]) => name);

describe('the list of files (F21)', () => {
  it('has the files of its owner, the newest first, page by page', async () => {
    const environment = setUp();
    const uploads = [];
    for (const name of ['a', 'b', 'c', 'd']) uploads.push(await upload(environment, name));
    await upload(environment, 'foreign', 'somebody-else');

    const pages = [
      await namesOf(environment),
      await namesOf(environment, { limit: 2 }),
      await namesOf(environment, { limit: 2, after: uploads[2]?.id }),
      await namesOf(environment, { limit: 3, order: 'asc' }),
      await namesOf(environment, { order: 'asc', after: uploads[2]?.id }),
      await namesOf(environment, { purpose: 'assistants' }),
    ];

    expect(pages).toEqual([
      ['d c b a', false],
      ['d c', true],
      ['b a', false],
      ['a b c', true],
      ['d', false],
      ['', false],
    ]);
    const listed = await environment.files.list(OWNER, { ...PAGE, limit: 1 });
    expect(listed.files[0]).toEqual(await environment.files.find(uploads[3]?.id ?? '', OWNER));
  });

  it('has the output files of batches, and no file that was deleted', async () => {
    const environment = setUp();
    const id = await environment.submit(linesOf(2));
    await environment.drain();
    const { output_file_id: output } = await openAi(environment, id);

    const before = await namesOf(environment);
    await environment.files.remove(output ?? '', OWNER);

    // Both have the same time, so their order is that of their random ids.
    expect(String(before[0]).split(' ').toSorted()).toEqual([`${id}-output-0.jsonl`, 'in.jsonl']);
    expect(await namesOf(environment)).toEqual(['in.jsonl', false]);
  });

  it('does not continue after a file of another owner', async () => {
    const environment = setUp();
    const { id } = await upload(environment, 'foreign', 'somebody-else');

    await expect(environment.files.list(OWNER, { ...PAGE, after: id })).rejects.toMatchObject({
      code: 'not_found',
      param: 'after',
    });
  });
});

describe('a file with a life of its own (F23)', () => {
  it('is gone when its time has passed, and then its content is deleted', async () => {
    const environment = setUp();
    const { id } = await upload(environment, 'short.jsonl');
    await upload(environment, 'long.jsonl');

    const file = await environment.files.expireAfter(id, { owner: OWNER, seconds: 3_600 });
    await environment.files.removeExpired();
    const early = await namesOf(environment);
    environment.time.now += HOUR_MS;
    const late = await namesOf(environment);
    const blobsBefore = environment.inputs.blobs.size;
    await environment.files.removeExpired();

    expect(file.expires_at).toBe(file.created_at + 3_600);
    expect(early).toEqual(['long.jsonl short.jsonl', false]);
    expect(late).toEqual(['long.jsonl', false]);
    await expect(environment.files.find(id, OWNER)).rejects.toMatchObject({ code: 'not_found' });
    expect([blobsBefore, environment.inputs.blobs.size]).toEqual([2, 1]);
    const names = [...environment.store.container.blobs.keys()];
    expect(names.filter((name) => name.includes(id))).toEqual([]);
  });

  it('is the output of a batch, whose journals are emptied too and whose counts stay', async () => {
    const environment = setUp();
    const { id: inputFileId } = await environment.files.create({
      owner: OWNER,
      filename: 'in.jsonl',
      chunks: (async function* () {
        yield Buffer.from(linesOf(2).join('\n'));
      })(),
    });
    const { record } = await environment.batches.create({
      owner: OWNER,
      inputFileId,
      endpoint: '/v1/chat/completions',
      metadata: null,
      outputExpiresAfterSeconds: 3_600,
    });
    await environment.drain();
    const batch = await openAi(environment, record.id);
    const before = await textOf(environment, batch.output_file_id);

    environment.time.now += HOUR_MS;
    await environment.files.removeExpired();

    expect(before).toContain('custom_id');
    await expect(
      environment.files.content(batch.output_file_id ?? '', OWNER),
    ).rejects.toMatchObject({ code: 'not_found' });
    expect(contentBlobs(environment)).toEqual([]);
    expect(await openAi(environment, record.id)).toMatchObject({
      status: 'completed',
      request_counts: { total: 2, completed: 2, failed: 0 },
    });
  });
});
