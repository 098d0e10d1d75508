import { describe, expect, it } from 'vitest';
import { ServiceError } from '../../../shared/errors.ts';
import {
  customIdsIn,
  linesOf,
  openAi,
  OWNER,
  setUp,
  textOf,
  type BatchWorld,
} from '../../support/batch/batch-world.ts';
import { messages, shardJob } from '../../support/batch/jobs.ts';

const HOUR_MS = 3_600_000;

function refuseM1({ message }: { readonly message: string }): string {
  if (message === 'm1') throw new ServiceError('content_filtered', 'No');
  return 'ok';
}

async function inputFileOf(world: BatchWorld, id: string): Promise<string> {
  return (await openAi(world, id)).input_file_id ?? '';
}

describe('an input file that is deleted', () => {
  it('while its batch runs ends the rest with that reason, and what is answered stays', async () => {
    const world = setUp();
    const id = await world.submit(linesOf(6));
    await world.processor.process(world.sent.pop()?.job);
    await world.processor.process(shardJob(id, 0));

    await world.files.remove(await inputFileOf(world, id), OWNER);
    await world.drain();

    const batch = await openAi(world, id);
    const errors = await textOf(world, batch.error_file_id);
    expect(batch.request_counts).toEqual({ total: 6, completed: 3, failed: 3 });
    expect(errors.match(/"code":"input_not_found"/g)).toHaveLength(3);
    expect(world.agent.asked.toSorted()).toEqual(messages(3));
  });

  it('after its batch has ended leaves nothing to retry, and the reasons as they are', async () => {
    const world = setUp(refuseM1);
    const id = await world.submit(linesOf(3));
    await world.drain();
    await world.files.remove(await inputFileOf(world, id), OWNER);

    const retried = world.desk.retryFailed(id, OWNER);

    await expect(retried).rejects.toMatchObject({ code: 'not_found', param: 'input_file_id' });
    const batch = await openAi(world, id);
    expect(await textOf(world, batch.error_file_id)).toContain('"custom_id":"id-m1"');
    expect(batch.progress.generation).toBe(0);
  });
});

describe('an output file that is deleted', () => {
  it('is gone', async () => {
    const world = setUp(refuseM1);
    const id = await world.submit(linesOf(3));
    await world.drain();
    const { output_file_id: output, error_file_id: errors } = await openAi(world, id);

    await world.files.remove(output ?? '', OWNER);

    await expect(world.files.find(output ?? '', OWNER)).rejects.toMatchObject({
      code: 'not_found',
    });
    await expect(textOf(world, output)).rejects.toMatchObject({ code: 'not_found' });
    expect(customIdsIn(await textOf(world, errors))).toEqual(['id-m1']);
  });
});

describe('a batch whose message cannot be sent', () => {
  it('is told to whoever creates it, and is in no list', async () => {
    const world = setUp(undefined, {
      sender: {
        async send() {
          throw new Error('The queue is away');
        },
      },
    });

    await expect(world.submit(linesOf(1))).rejects.toThrow('The queue is away');
    expect(await world.desk.list(OWNER, { after: undefined, limit: 10 })).toEqual({
      batches: [],
      hasMore: false,
    });
  });
});

describe('a batch whose record was taken back while somebody worked on it', () => {
  it('asks nothing more', async () => {
    const world = setUp(async ({ message, signal }) => {
      if (message === 'm0') return 'ok';
      return new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => reject(new Error('stopped')));
      });
    });
    const id = await world.submit(linesOf(6));
    const { record } = await world.desk.view(id, OWNER);
    await world.processor.process(world.sent.pop()?.job);
    const working = world.processor.process(shardJob(id, 0));
    await expect.poll(() => world.agent.asked.length).toBe(3);

    await world.store.discard(record);
    await working;
    await world.processor.process(shardJob(id, 1)).catch(() => undefined);

    expect(world.agent.asked.toSorted()).toEqual(messages(3));
  });
});

describe('a batch whose message was lost', () => {
  it('Q12: ends as expired once somebody looks, with a line for each item', async () => {
    const world = setUp();
    const id = await world.submit(linesOf(6));
    await world.processor.process(world.sent.pop()?.job);
    await world.processor.process(shardJob(id, 0));
    world.sent.length = 0;
    world.time.now += 26 * HOUR_MS;

    const found = await openAi(world, id);
    const woken = world.sent.length;
    await openAi(world, id);
    const wokenAgain = world.sent.length;
    await world.drain();

    const ended = await openAi(world, id);
    expect([woken, wokenAgain]).toEqual([1, 1]);
    expect(found).toMatchObject({ status: 'expired', expired_at: null });
    expect(ended).toMatchObject({
      status: 'expired',
      expired_at: expect.any(Number),
      request_counts: { total: 6, completed: 3, failed: 3 },
    });
    expect(await textOf(world, ended.error_file_id)).toContain('batch_expired');
    expect(world.sent).toEqual([]);
  });
});

describe('a batch whose last pass was long', () => {
  it('is ended by a delivery of its own', async () => {
    const world = setUp(
      async ({ message }) => {
        if (message === 'm2') await new Promise((resolve) => setTimeout(resolve, 60));
        return 'ok';
      },
      { longPassMs: 50 },
    );
    const id = await world.submit(linesOf(3));
    await world.processor.process(world.sent.pop()?.job);

    await world.processor.process(world.sent.pop()?.job);
    const between = await openAi(world, id);
    const again = [...world.sent];
    await world.drain();

    expect(between.status).toBe('finalizing');
    expect(again).toEqual([{ job: shardJob(id, 0), delaySeconds: 0 }]);
    expect((await openAi(world, id)).status).toBe('completed');
    expect(world.agent.asked.toSorted()).toEqual(messages(3));
  });
});
