import { describe, expect, it } from 'vitest';
import { linesOf, OWNER, setUp } from '../../support/batch/batch-environment.ts';

const refused = (setting: string) =>
  expect.objectContaining({
    code: 'rate_limited',
    retryAfterSeconds: 60,
    message: expect.stringContaining(setting),
  });

describe('T3 the open batches of a caller', () => {
  it('are limited in number, until one of them ends', async () => {
    const environment = setUp(undefined, { quota: { maxOpenBatches: 2 } });
    await environment.submit(linesOf(1));
    await environment.submit(linesOf(1));

    for (let attempt = 0; attempt < 3; attempt += 1) {
      const third = environment.submit(linesOf(1));
      await expect(third).rejects.toEqual(refused('batch.max_open_batches'));
    }
    await environment.drain();

    await expect(environment.submit(linesOf(1))).resolves.toMatch(/^batch_/);
  });

  it('are limited when several are created at once', async () => {
    const environment = setUp(undefined, { quota: { maxOpenBatches: 3 } });

    const submitted = await Promise.allSettled(
      Array.from({ length: 8 }, () => environment.submit(linesOf(1))),
    );

    const created = submitted.filter(({ status }) => status === 'fulfilled').length;
    expect(created).toBeLessThanOrEqual(3);
    expect(environment.sent).toHaveLength(created);
  });

  it('are limited in the number of their items, blank lines not counted', async () => {
    const environment = setUp(undefined, { quota: { maxQueuedItems: 7 } });
    await environment.submit(linesOf(4));
    await environment.submit([...linesOf(3), '', ' ', '']);

    const third = environment.submit(linesOf(1));

    await expect(third).rejects.toEqual(refused('batch.max_queued_items'));
    await expect(third).rejects.toMatchObject({ param: 'input_file_id' });
  });

  it('include a batch whose failed items run again', async () => {
    const environment = setUp(
      () => {
        throw new TypeError('A defect');
      },
      { quota: { maxOpenBatches: 1 } },
    );
    const failed = await environment.submit(linesOf(1));
    await environment.drain();
    await environment.submit(linesOf(1));

    const retried = environment.batches.retryFailed(failed, OWNER);

    await expect(retried).rejects.toEqual(refused('batch.max_open_batches'));
    await environment.drain();
    await expect(environment.batches.retryFailed(failed, OWNER)).resolves.toBeDefined();
  });

  it('do not include a batch whose creation was interrupted a day ago', async () => {
    const environment = setUp(undefined, { quota: { maxOpenBatches: 1 } });
    await environment.submit(linesOf(1));
    environment.sent.length = 0;
    environment.time.now += 26 * 60 * 60_000;

    await expect(environment.submit(linesOf(1))).resolves.toBeDefined();
  });
});

describe('T3 the files of a caller', () => {
  const line = linesOf(1);
  const bytes = `${line[0]}\n`.length;

  async function upload({ files }: ReturnType<typeof setUp>, chunks: AsyncIterable<Uint8Array>) {
    return files.create({ owner: OWNER, filename: 'in.jsonl', chunks });
  }

  it('are limited in their bytes, and a deleted file makes space', async () => {
    const environment = setUp(undefined, { quota: { maxStoredBytes: 2 * bytes } });
    const first = await upload(environment, chunksOf(`${line[0]}\n`));
    await upload(environment, chunksOf(`${line[0]}\n`));

    const third = upload(environment, chunksOf(`${line[0]}\n`));
    await expect(third).rejects.toEqual(refused('batch.max_stored_bytes'));
    await environment.files.remove(first.id, OWNER);

    await expect(upload(environment, chunksOf(`${line[0]}\n`))).resolves.toBeDefined();
  });

  it('are refused while they arrive, and nothing of them is stored', async () => {
    const environment = setUp(undefined, { quota: { maxStoredBytes: 1_000 } });
    let sent = 0;
    async function* endless(): AsyncGenerator<Uint8Array> {
      for (;;) {
        sent += 100;
        yield Buffer.alloc(100, 'a');
      }
    }

    const refusedUpload = upload(environment, endless());

    await expect(refusedUpload).rejects.toEqual(refused('batch.max_stored_bytes'));
    expect(sent).toBeLessThanOrEqual(1_200);
    expect([...environment.inputs.blobs.keys()]).toEqual([]);
  });

  it('are limited when several arrive at once', async () => {
    const environment = setUp(undefined, { quota: { maxStoredBytes: 3 * bytes } });

    await Promise.allSettled(
      Array.from({ length: 8 }, () => upload(environment, chunksOf(`${line[0]}\n`))),
    );

    expect(environment.inputs.blobs.size).toBeLessThanOrEqual(3);
  });
});

async function* chunksOf(text: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(text);
}
