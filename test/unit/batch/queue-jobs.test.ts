import { describe, expect, it } from 'vitest';
import {
  customIdsIn,
  linesOf,
  openAi,
  OWNER,
  setUp,
  textOf,
} from '../../support/batch/batch-environment.ts';
import { jobOf, messages } from '../../support/batch/jobs.ts';
import { createMemoryStore } from '../../support/batch/memory-store.ts';

describe('a queue job', () => {
  it('is a batch like any other', async () => {
    const environment = setUp();
    await environment.processor.process(jobOf('mine', messages(2)));

    const batch = await openAi(environment, 'mine');

    expect(batch).toMatchObject({
      status: 'completed',
      request_counts: { total: 2, completed: 2, failed: 0 },
      output_file_id: 'file-mine-output-0',
    });
    expect(customIdsIn(await textOf(environment, batch.output_file_id))).toEqual([
      'id-m0',
      'id-m1',
    ]);
  });

  it('is hidden from others when its message names an owner', async () => {
    const environment = setUp();

    await environment.processor.process({ ...jobOf('mine', ['hi']), owner: 'key:bob' });

    await expect(environment.batches.view('mine', OWNER)).rejects.toMatchObject({
      code: 'not_found',
    });
  });

  it('T10: belongs to no caller when neither message nor setting names an owner', async () => {
    const environment = setUp(undefined, { queueOwner: undefined });
    await environment.processor.process(jobOf('ownerless', ['hi']));

    for (const caller of [OWNER, '', 'null', 'key:alice']) {
      const calls = [
        environment.batches.view('ownerless', caller),
        environment.batches.cancel('ownerless', caller),
        environment.batches.retryFailed('ownerless', caller),
        environment.files.find('file-ownerless-output-0', caller),
        environment.files.content('file-ownerless-output-0', caller),
        environment.files.remove('file-ownerless-output-0', caller),
      ];
      for (const call of calls) await expect(call).rejects.toMatchObject({ code: 'not_found' });
    }
    const { batches } = await environment.batches.list('', { after: undefined, limit: 9 });
    expect(batches).toEqual([]);
  });

  it('T10: that names no owner stays the same job when the setting changes', async () => {
    const store = createMemoryStore();
    const before = setUp(undefined, { store, queueOwner: undefined });
    const after = setUp(undefined, { store });
    await before.processor.process(jobOf('ownerless', ['hi']));

    await after.processor.process(jobOf('ownerless', ['hi']));

    expect(after.telemetry.lines.map(({ message }) => message)).not.toContain(
      'batch message rejected',
    );
  });

  it('takes its items from a blob', async () => {
    const environment = setUp();
    environment.inputs.put('nightly/items.jsonl', linesOf(5).join('\n'));

    await environment.processor.process({
      v: 1,
      jobId: 'pointer',
      inputBlob: 'batch-input/nightly/items.jsonl',
    });
    await environment.drain();

    expect((await openAi(environment, 'pointer')).request_counts.completed).toBe(5);
  });

  it('Q4: waits for a blob that is written after its message', async () => {
    const environment = setUp();
    const pointer = { v: 1, jobId: 'early', inputBlob: 'batch-input/early.jsonl' };

    await environment.processor.process(pointer);
    const early = await openAi(environment, 'early');
    await environment.inputs.create('early.jsonl', { content: linesOf(2).join('\n') });
    await environment.drain();

    expect(early.status).toBe('validating');
    expect(await openAi(environment, 'early')).toMatchObject({
      status: 'completed',
      request_counts: { total: 2, completed: 2, failed: 0 },
    });
  });

  it('fails with the reason when there is no such blob after that while', async () => {
    const environment = setUp();
    const startedAt = environment.time.now;

    await environment.processor.process({
      v: 1,
      jobId: 'lost',
      inputBlob: 'batch-input/lost.jsonl',
    });
    await environment.drain();

    expect(await openAi(environment, 'lost')).toMatchObject({
      status: 'failed',
      errors: { data: [{ code: 'input_not_found' }] },
    });
    expect(environment.time.now - startedAt).toBeLessThanOrEqual(60_000);
  });

  it.each([
    { when: 'before it is planned', planned: false },
    { when: 'after it was planned', planned: true },
  ])('F15: is cancelled although its input cannot be read $when', async ({ planned }) => {
    const environment = setUp();
    const { inputs, processor, store } = environment;
    inputs.put('nightly/items.jsonl', linesOf(5).join('\n'));
    const pointer = { v: 1, jobId: 'unread', inputBlob: 'batch-input/nightly/items.jsonl' };
    if (!planned) inputs.breakWith(new Error('the input is locked'));
    await processor.process(pointer).catch(() => undefined);
    await store.change('unread', (record) => ({ ...record, cancelledAt: record.createdAt }));
    inputs.breakWith(new Error('the input is locked'));

    await processor.process({ v: 1, jobId: 'unread' });
    await environment.drain();

    expect(await openAi(environment, 'unread')).toMatchObject({
      status: 'cancelled',
      request_counts: { completed: 0, failed: planned ? 5 : 0 },
    });
  });

  it('fails with the reason when its blob is larger than a batch may be', async () => {
    const environment = setUp();
    const { inputs } = environment;
    inputs.properties = async () => ({ metadata: {}, bytes: 200 * 1_048_576 + 1, changedAt: 0 });

    await environment.processor.process({
      v: 1,
      jobId: 'large',
      inputBlob: 'batch-input/large.jsonl',
    });

    expect(await openAi(environment, 'large')).toMatchObject({
      status: 'failed',
      errors: { data: [{ code: 'file_too_large' }] },
    });
  });
});
