import { describe, expect, it } from 'vitest';
import { blobPaths } from '../../../shared/batch/storage/blob-paths.ts';
import { ServiceError } from '../../../shared/errors.ts';
import {
  customIdsIn,
  linesOf,
  openAi,
  OWNER,
  setUp,
  textOf,
} from '../../support/batch/batch-environment.ts';
import { messages, shardJob } from '../../support/batch/jobs.ts';
import { makeProcessor } from '../../support/batch/make-processor.ts';

describe('a batch of a file', () => {
  it('is split, processed in any order and ended once with both of its files', async () => {
    const environment = setUp(({ message }) => {
      if (message === 'm4') throw new ServiceError('content_filtered', 'No');
      return 'ok';
    });
    const id = await environment.submit(linesOf(8));
    const before = await openAi(environment, id);

    await environment.drain();

    const after = await openAi(environment, id);
    expect(before.status).toBe('validating');
    expect(after).toMatchObject({
      status: 'completed',
      request_counts: { total: 8, completed: 7, failed: 1 },
      progress: { shards: { total: 3, done: 3 } },
    });
    expect(customIdsIn(await textOf(environment, after.output_file_id))).toHaveLength(7);
    expect(customIdsIn(await textOf(environment, after.error_file_id))).toEqual(['id-m4']);
    expect(environment.agent.asked.toSorted()).toEqual(messages(8));
  });

  it('numbers its result lines over all shards', async () => {
    const environment = setUp();
    const id = await environment.submit(linesOf(5));

    await environment.drain();

    const text = await textOf(environment, (await openAi(environment, id)).output_file_id);
    const ids = text.match(/batch_req_\w+_\d+/g)?.map((found) => found.split('_').at(-1));
    expect(ids?.toSorted()).toEqual(['0', '1', '2', '3', '4']);
  });

  it('Q3: runs no item twice when each of its messages is delivered five times', async () => {
    const environment = setUp();
    const id = await environment.submit(linesOf(7));
    const plan = environment.sent.pop();
    for (let copy = 0; copy < 5; copy += 1) await environment.processor.process(plan?.job);
    const shards = [...environment.sent];

    await environment.drain();
    await Promise.all(shards.map(({ job }) => environment.processor.process(job)));

    expect(shards).toHaveLength(15);
    expect(environment.agent.asked.toSorted()).toEqual(messages(7));
    expect((await openAi(environment, id)).request_counts.completed).toBe(7);
  });

  it('shows counts and results while it runs', async () => {
    const environment = setUp();
    const id = await environment.submit(linesOf(6));
    await environment.processor.process(environment.sent.pop()?.job);

    await environment.processor.process(shardJob(id, 1));

    const running = await openAi(environment, id);
    expect(running).toMatchObject({
      status: 'in_progress',
      request_counts: { total: 6, completed: 3, failed: 0 },
      progress: { shards: { total: 2, done: 1, running: 0, waiting: 1 } },
    });
    expect(running.output_file_id).toBeNull();
    expect(customIdsIn(await textOf(environment, running.progress.output_file_id))).toHaveLength(3);
  });

  it('continues after its planner was killed, before or after the plan was stored', async () => {
    const environment = setUp();
    const id = await environment.submit(linesOf(4));
    const broken = { ...environment.store, savePlan: async () => {} };
    const { processor: killed } = makeProcessor({ store: broken, inputs: environment.inputs });
    await expect(killed.process(environment.sent[0]?.job)).rejects.toThrow('plan');
    const { processor: mute } = makeProcessor({
      store: environment.store,
      inputs: environment.inputs,
      itemsPerShard: 3,
      sender: {
        async send() {
          throw new Error('killed');
        },
        hasWaiting: async () => false,
      },
    });
    await expect(mute.process(environment.sent[0]?.job)).rejects.toThrow('killed');

    await environment.drain();

    expect((await openAi(environment, id)).request_counts.completed).toBe(4);
  });

  it('writes its files before its end is visible', async () => {
    const environment = setUp();
    const id = await environment.submit(linesOf(1));
    await environment.drain();

    const written = [...environment.store.container.blobs.keys()].filter((name) =>
      name.startsWith(id),
    );

    const order = [blobPaths.output(id, 0), blobPaths.final(id, 0)].map((name) =>
      written.indexOf(name),
    );
    expect(order[0]).toBeGreaterThan(-1);
    expect(order[0]).toBeLessThan(order[1] ?? -1);
  });

  it('ends although the process ended between its last result and its end', async () => {
    const environment = setUp();
    const id = await environment.submit(linesOf(2));
    await environment.processor.process(environment.sent.pop()?.job);
    const dying = {
      ...environment.store,
      finish: async () => {
        throw new Error('killed');
      },
    };
    const { processor } = makeProcessor({ store: dying, inputs: environment.inputs });
    await expect(processor.process(shardJob(id, 0))).rejects.toThrow('killed');
    const between = await openAi(environment, id);

    await environment.drain();

    expect(between.status).toBe('finalizing');
    expect((await openAi(environment, id)).status).toBe('completed');
    expect(environment.agent.asked).toHaveLength(0);
  });

  it('belongs to its owner: every other caller gets not found', async () => {
    const environment = setUp();
    const id = await environment.submit(linesOf(1));
    await environment.drain();
    const { input_file_id: inputId, output_file_id: outputId } = await openAi(environment, id);

    const foreign = [
      environment.batches.view(id, 'bob'),
      environment.batches.cancel(id, 'bob'),
      environment.batches.retryFailed(id, 'bob'),
      environment.files.find(String(inputId), 'bob'),
      environment.files.content(String(outputId), 'bob'),
      environment.files.remove(String(inputId), 'bob'),
      environment.batches.create({
        owner: 'bob',
        inputFileId: String(inputId),
        endpoint: '/v1/chat/completions',
        metadata: null,
      }),
    ];

    const outcomes = await Promise.allSettled(foreign);
    expect(outcomes.map((one) => one.status === 'rejected' && one.reason.code)).toEqual(
      Array(7).fill('not_found'),
    );
    expect((await environment.batches.list('bob', { after: undefined, limit: 9 })).batches).toEqual(
      [],
    );
    expect(
      (await environment.batches.list(OWNER, { after: undefined, limit: 9 })).batches,
    ).toHaveLength(1);
  });
});

describe('the list of an owner', () => {
  it('has the newest first, in pages, without deleted batches', async () => {
    const environment = setUp();
    const ids: string[] = [];
    for (let n = 0; n < 5; n += 1) {
      environment.time.now += 1_000;
      ids.push(await environment.submit(linesOf(1)));
    }
    const [gone = '', ...kept] = ids;
    await environment.store.container.remove(blobPaths.record(gone));
    const idsOf = async (after: string | undefined, limit: number) => {
      const { batches, hasMore } = await environment.batches.list(OWNER, { after, limit });
      return [...batches.map(({ record }) => record.id), hasMore];
    };

    const pages = [await idsOf(undefined, 2), await idsOf(kept[2], 2), await idsOf(kept[0], 2)];

    expect(pages).toEqual([[kept[3], kept[2], true], [kept[1], kept[0], true], [false]]);
  });
});
