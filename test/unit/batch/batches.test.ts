import { describe, expect, it } from 'vitest';
import { createBatchDesk, type BatchDesk } from '../../../shared/batch/batch-desk.ts';
import { names } from '../../../shared/batch/blob-names.ts';
import { createFileDesk, type FileDesk } from '../../../shared/batch/file-desk.ts';
import type { Job } from '../../../shared/batch/job.ts';
import { toOpenAiBatch } from '../../../shared/batch/openai-batch.ts';
import { createPace } from '../../../shared/batch/pace.ts';
import { ServiceError } from '../../../shared/errors.ts';
import { itemOf, jobOf, messages, shardJob } from '../../support/batch/jobs.ts';
import { makeProcessor, type Bench } from '../../support/batch/make-processor.ts';
import { untilAborted, type Script } from '../../support/batch/scripted-agent.ts';

interface World extends Bench {
  readonly desk: BatchDesk;
  readonly files: FileDesk;
  /** Delivers what is on the queue, the newest first, until nothing is. */
  drain(): Promise<void>;
  submit(lines: readonly string[]): Promise<string>;
}

const OWNER = 'alice';

function setUp(script?: Script, options: Parameters<typeof makeProcessor>[0] = {}): World {
  const bench = makeProcessor({
    ...(script === undefined ? {} : { script }),
    itemsPerShard: 3,
    watchEveryMs: 5,
    ...options,
  });
  const { store, inputs, sent, time } = bench;
  const clock = { now: () => time.now };
  const sender = {
    async send(job: Job, { delaySeconds }: { delaySeconds: number }) {
      sent.push({ job, delaySeconds });
    },
  };
  const files = createFileDesk({ store, inputs, outputs: store.area, clock });
  const desk = createBatchDesk({ store, inputs, sender, clock });
  return {
    ...bench,
    desk,
    files,
    async drain() {
      for (let next = sent.pop(); next !== undefined; next = sent.pop()) {
        time.now += next.delaySeconds * 1_000;
        await bench.processor.process(next.job);
      }
    },
    async submit(lines) {
      const chunks = chunksOf(lines.map((line) => `${line}\n`).join(''));
      const file = await files.create({ owner: OWNER, filename: 'in.jsonl', chunks });
      const wanted = { endpoint: '/v1/chat/completions', metadata: null };
      const view = await desk.create({ owner: OWNER, inputFileId: file.id, ...wanted });
      return view.record.id;
    },
  };
}

async function* chunksOf(text: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(text);
}

function linesOf(count: number): string[] {
  return messages(count).map((message) => JSON.stringify(itemOf(message)));
}

async function textOf(world: World, fileId: string | null): Promise<string> {
  if (fileId === null) return '';
  const { chunks } = await world.files.content(fileId, OWNER);
  return Buffer.concat(await Array.fromAsync(chunks)).toString('utf8');
}

async function openAi(world: World, id: string) {
  return toOpenAiBatch(await world.desk.view(id, OWNER));
}

function customIdsIn(text: string): string[] {
  return [...text.matchAll(/"custom_id":"([^"]+)"/g)].map(([, id = '']) => id).toSorted();
}

describe('a batch of a file', () => {
  it('is split, worked on in any order and ended once with both of its files', async () => {
    const world = setUp(({ message }) => {
      if (message === 'm4') throw new ServiceError('content_filtered', 'No');
      return 'ok';
    });
    const id = await world.submit(linesOf(8));
    const before = await openAi(world, id);

    await world.drain();

    const after = await openAi(world, id);
    expect(before.status).toBe('validating');
    expect(after).toMatchObject({
      status: 'completed',
      request_counts: { total: 8, completed: 7, failed: 1 },
      progress: { shards: { total: 3, done: 3 } },
    });
    expect(customIdsIn(await textOf(world, after.output_file_id))).toHaveLength(7);
    expect(customIdsIn(await textOf(world, after.error_file_id))).toEqual(['id-m4']);
    expect(world.agent.asked.toSorted()).toEqual(messages(8));
  });

  it('numbers its result lines over all shards', async () => {
    const world = setUp();
    const id = await world.submit(linesOf(5));

    await world.drain();

    const text = await textOf(world, (await openAi(world, id)).output_file_id);
    const ids = text.match(/batch_req_\w+_\d+/g)?.map((found) => found.split('_').at(-1));
    expect(ids?.toSorted()).toEqual(['0', '1', '2', '3', '4']);
  });

  it('Q3: asks nothing twice when each of its messages comes five times', async () => {
    const world = setUp();
    const id = await world.submit(linesOf(7));
    const plan = world.sent.pop();
    for (let copy = 0; copy < 5; copy += 1) await world.processor.process(plan?.job);
    const shards = [...world.sent];

    await world.drain();
    await Promise.all(shards.map(({ job }) => world.processor.process(job)));

    expect(shards).toHaveLength(15);
    expect(world.agent.asked.toSorted()).toEqual(messages(7));
    expect((await openAi(world, id)).request_counts.completed).toBe(7);
  });

  it('is read while it runs, counts and answers alike', async () => {
    const world = setUp();
    const id = await world.submit(linesOf(6));
    await world.processor.process(world.sent.pop()?.job);

    await world.processor.process(shardJob(id, 1));

    const running = await openAi(world, id);
    expect(running).toMatchObject({
      status: 'in_progress',
      request_counts: { total: 6, completed: 3, failed: 0 },
      progress: { shards: { total: 2, done: 1, running: 0, waiting: 1 } },
    });
    expect(customIdsIn(await textOf(world, running.output_file_id))).toHaveLength(3);
  });

  it('goes on where its planner was killed, before or after the plan was kept', async () => {
    const world = setUp();
    const id = await world.submit(linesOf(4));
    const broken = { ...world.store, keepPlan: async () => {} };
    const { processor: killed } = makeProcessor({ store: broken, inputs: world.inputs });
    await expect(killed.process(world.sent[0]?.job)).rejects.toThrow('plan');
    const { processor: mute } = makeProcessor({
      store: world.store,
      inputs: world.inputs,
      itemsPerShard: 3,
      sender: {
        async send() {
          throw new Error('killed');
        },
      },
    });
    await expect(mute.process(world.sent[0]?.job)).rejects.toThrow('killed');

    await world.drain();

    expect((await openAi(world, id)).request_counts.completed).toBe(4);
  });

  it('writes its files before it says that it has ended', async () => {
    const world = setUp();
    const id = await world.submit(linesOf(1));
    await world.drain();

    const written = [...world.store.area.blobs.keys()].filter((name) => name.startsWith(id));

    const order = [names.output(id, 0), names.final(id, 0)].map((name) => written.indexOf(name));
    expect(order[0]).toBeGreaterThan(-1);
    expect(order[0]).toBeLessThan(order[1] ?? -1);
  });

  it('ends although the process died between its last answer and its end', async () => {
    const world = setUp();
    const id = await world.submit(linesOf(2));
    await world.processor.process(world.sent.pop()?.job);
    const dying = {
      ...world.store,
      finish: async () => {
        throw new Error('killed');
      },
    };
    const { processor } = makeProcessor({ store: dying, inputs: world.inputs });
    await expect(processor.process(shardJob(id, 0))).rejects.toThrow('killed');
    const between = await openAi(world, id);

    await world.drain();

    expect(between.status).toBe('finalizing');
    expect((await openAi(world, id)).status).toBe('completed');
    expect(world.agent.asked).toHaveLength(0);
  });

  it('belongs to its owner: to everybody else it is not there', async () => {
    const world = setUp();
    const id = await world.submit(linesOf(1));
    await world.drain();
    const { input_file_id: inputId, output_file_id: outputId } = await openAi(world, id);

    const foreign = [
      world.desk.view(id, 'bob'),
      world.desk.cancel(id, 'bob'),
      world.desk.retryFailed(id, 'bob'),
      world.files.find(String(inputId), 'bob'),
      world.files.content(String(outputId), 'bob'),
      world.files.remove(String(inputId), 'bob'),
      world.desk.create({
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
    expect((await world.desk.list('bob', { after: undefined, limit: 9 })).batches).toEqual([]);
    expect((await world.desk.list(OWNER, { after: undefined, limit: 9 })).batches).toHaveLength(1);
  });
});

describe('a queue job', () => {
  it('is a batch like any other', async () => {
    const world = setUp();
    await world.processor.process(jobOf('mine', messages(2)));

    const batch = await openAi(world, 'mine');

    expect(batch).toMatchObject({
      status: 'completed',
      request_counts: { total: 2, completed: 2, failed: 0 },
      output_file_id: 'file-mine-output-0',
    });
    expect(customIdsIn(await textOf(world, batch.output_file_id))).toEqual(['id-m0', 'id-m1']);
  });

  it('is hidden from others when its message names an owner', async () => {
    const world = setUp();

    await world.processor.process({ ...jobOf('mine', ['hi']), owner: 'key:alice' });

    await expect(world.desk.view('mine', OWNER)).rejects.toMatchObject({ code: 'not_found' });
  });

  it('takes its items from a blob', async () => {
    const world = setUp();
    world.inputs.put('nightly/items.jsonl', linesOf(5).join('\n'));

    await world.processor.process({
      v: 1,
      jobId: 'pointer',
      inputBlob: 'batch-input/nightly/items.jsonl',
    });
    await world.drain();

    expect((await openAi(world, 'pointer')).request_counts.completed).toBe(5);
  });

  it('fails with the reason when there is no such blob', async () => {
    const world = setUp();

    await world.processor.process({ v: 1, jobId: 'lost', inputBlob: 'batch-input/lost.jsonl' });

    expect(await openAi(world, 'lost')).toMatchObject({
      status: 'failed',
      errors: { data: [{ code: 'input_not_found' }] },
    });
  });
});

describe('a batch that is cancelled', () => {
  it('stops what runs, keeps what is finished and ends everything else', async () => {
    const world = setUp(({ message, signal }) => (message === 'm0' ? 'ok' : untilAborted(signal)));
    const id = await world.submit(linesOf(5));
    await world.processor.process(world.sent.pop()?.job);
    const running = world.processor.process(shardJob(id, 0));
    await expect
      .poll(() => world.store.entries(id).filter(({ type }) => type === 'result'))
      .toHaveLength(1);

    const asked = await world.desk.cancel(id, OWNER);
    await running;
    await world.drain();

    const batch = await openAi(world, id);
    expect(asked.status).toBe('cancelling');
    expect(batch).toMatchObject({
      status: 'cancelled',
      request_counts: { total: 5, completed: 1, failed: 4 },
    });
    expect(customIdsIn(await textOf(world, batch.output_file_id))).toEqual(['id-m0']);
    expect(await textOf(world, batch.error_file_id)).toContain('batch_cancelled');
    expect(world.agent.asked).not.toContain('m4');
  });

  it('cannot be cancelled once it has ended', async () => {
    const world = setUp();
    const id = await world.submit(linesOf(1));
    await world.drain();

    await expect(world.desk.cancel(id, OWNER)).rejects.toMatchObject({ code: 'invalid_request' });
  });
});

describe('retrying what failed', () => {
  it('asks only the failed items again, and keeps the earlier files', async () => {
    let isWell = false;
    const world = setUp(({ message }) => {
      if (isWell || message !== 'm1') return 'ok';
      throw new ServiceError('content_filtered', 'No');
    });
    const id = await world.submit(linesOf(5));
    await world.drain();
    const first = await openAi(world, id);
    isWell = true;

    const reopened = await world.desk.retryFailed(id, OWNER);
    await world.drain();

    const second = await openAi(world, id);
    expect(reopened.status).toBe('in_progress');
    expect(second).toMatchObject({
      status: 'completed',
      request_counts: { total: 5, completed: 5, failed: 0 },
      error_file_id: null,
    });
    expect(world.agent.asked.filter((message) => message === 'm1')).toHaveLength(2);
    expect(world.agent.asked).toHaveLength(6);
    expect(customIdsIn(await textOf(world, first.error_file_id))).toEqual(['id-m1']);
    expect(customIdsIn(await textOf(world, second.output_file_id))).toHaveLength(5);
  });

  it('needs something that failed, and a batch that has ended', async () => {
    const world = setUp();
    const id = await world.submit(linesOf(1));
    const early = world.desk.retryFailed(id, OWNER);
    await expect(early).rejects.toMatchObject({ code: 'invalid_request' });
    await world.drain();

    await expect(world.desk.retryFailed(id, OWNER)).rejects.toThrow('no item of it failed');
  });
});

describe('a model without room', () => {
  it('Q8: costs no item a try however long it lasts, and few calls', async () => {
    let isWell = false;
    const pace = createPace({ max: 8, firstBlockMs: 20 });
    const world = setUp(
      () => {
        if (isWell) return 'ok';
        throw new ServiceError('upstream_rate_limited', 'Too many');
      },
      { pace, concurrency: 8 },
    );
    const job = jobOf('job', messages(30));
    for (let delivery = 0; delivery < 12; delivery += 1) {
      await world.processor.process(job);
      await new Promise((resolve) => setTimeout(resolve, Math.min(pace.blockedMs(), 50) + 1));
    }
    const doomed = world.agent.asked.length;
    isWell = true;
    await expect.poll(() => pace.blockedMs(), { timeout: 15_000 }).toBe(0);

    await world.processor.process(job);

    expect(doomed).toBeLessThan(30);
    expect(world.store.entries('job').filter(({ type }) => type === 'attempt')).toEqual([]);
    expect((await openAi(world, 'job')).request_counts.completed).toBe(30);
  });

  it('Q8: puts the job back for as long as the model asks', async () => {
    const world = setUp(() => {
      throw new ServiceError('upstream_rate_limited', 'Too many', { retryAfterSeconds: 42 });
    });

    await world.processor.process(jobOf('job', messages(2)));

    expect(world.sent).toEqual([{ job: shardJob('job'), delaySeconds: 42 }]);
  });

  it('is not taken for the fault of one item that fails alone', async () => {
    const world = setUp(async ({ message }) => {
      if (message !== 'm0') return 'ok';
      await new Promise((resolve) => setImmediate(resolve));
      throw new ServiceError('upstream_unavailable', 'Away');
    });

    await world.processor.process(jobOf('job', messages(3)));

    expect(world.store.entries('job')).toContainEqual(
      expect.objectContaining({ type: 'attempt', index: 0, code: 'upstream_unavailable' }),
    );
  });

  it('ends what is still open when the completion window is over', async () => {
    const world = setUp(() => {
      throw new ServiceError('upstream_rate_limited', 'Too many', { retryAfterSeconds: 1 });
    });
    await world.processor.process(jobOf('job', messages(2)));
    world.time.now += 25 * 60 * 60_000;

    await world.processor.process(shardJob('job'));

    const batch = await openAi(world, 'job');
    expect(batch).toMatchObject({ status: 'expired', request_counts: { failed: 2 } });
    expect(await textOf(world, batch.error_file_id)).toContain('batch_expired');
  });
});
