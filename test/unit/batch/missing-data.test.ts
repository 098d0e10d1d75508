import { describe, expect, it } from 'vitest';
import { ServiceError } from '../../../shared/errors.ts';
import {
  customIdsIn,
  linesOf,
  openAi,
  OWNER,
  setUp,
  textOf,
  type BatchEnvironment,
} from '../../support/batch/batch-environment.ts';
import { messages, shardJob } from '../../support/batch/jobs.ts';

const HOUR_MS = 3_600_000;

function refuseM1({ message }: { readonly message: string }): string {
  if (message === 'm1') throw new ServiceError('content_filtered', 'No');
  return 'ok';
}

async function inputFileOf(environment: BatchEnvironment, id: string): Promise<string> {
  return (await openAi(environment, id)).input_file_id ?? '';
}

describe('an input file that is deleted', () => {
  it('ends the other items of a running batch with that reason and keeps the results', async () => {
    const environment = setUp();
    const id = await environment.submit(linesOf(6));
    await environment.processor.process(environment.sent.pop()?.job);
    await environment.processor.process(shardJob(id, 0));

    await environment.files.remove(await inputFileOf(environment, id), OWNER);
    await environment.drain();

    const batch = await openAi(environment, id);
    const errors = await textOf(environment, batch.error_file_id);
    expect(batch.request_counts).toEqual({ total: 6, completed: 3, failed: 3 });
    expect(errors.match(/"code":"input_not_found"/g)).toHaveLength(3);
    expect(environment.agent.asked.toSorted()).toEqual(messages(3));
  });

  it('prevents a retry of an ended batch and keeps the errors', async () => {
    const environment = setUp(refuseM1);
    const id = await environment.submit(linesOf(3));
    await environment.drain();
    await environment.files.remove(await inputFileOf(environment, id), OWNER);

    const retried = environment.batches.retryFailed(id, OWNER);

    await expect(retried).rejects.toMatchObject({ code: 'not_found', param: 'input_file_id' });
    const batch = await openAi(environment, id);
    expect(await textOf(environment, batch.error_file_id)).toContain('"custom_id":"id-m1"');
    expect(batch.progress.generation).toBe(0);
  });
});

describe('an output file that is deleted', () => {
  it('cannot be read', async () => {
    const environment = setUp(refuseM1);
    const id = await environment.submit(linesOf(3));
    await environment.drain();
    const { output_file_id: output, error_file_id: errors } = await openAi(environment, id);

    await environment.files.remove(output ?? '', OWNER);

    await expect(environment.files.find(output ?? '', OWNER)).rejects.toMatchObject({
      code: 'not_found',
    });
    await expect(textOf(environment, output)).rejects.toMatchObject({ code: 'not_found' });
    expect(customIdsIn(await textOf(environment, errors))).toEqual(['id-m1']);
  });
});

describe('a batch whose message cannot be sent', () => {
  it('is reported to the caller who creates it, and is in no list', async () => {
    const environment = setUp(undefined, {
      sender: {
        async send() {
          throw new Error('The queue is unavailable');
        },
        hasWaiting: async () => false,
      },
    });

    await expect(environment.submit(linesOf(1))).rejects.toThrow('The queue is unavailable');
    expect(await environment.batches.list(OWNER, { after: undefined, limit: 10 })).toEqual({
      batches: [],
      hasMore: false,
    });
  });
});

describe('a batch whose record was removed while a delivery processed it', () => {
  it('runs no more items', async () => {
    const environment = setUp(async ({ message, signal }) => {
      if (message === 'm0') return 'ok';
      return new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => reject(new Error('stopped')));
      });
    });
    const id = await environment.submit(linesOf(6));
    const { record } = await environment.batches.view(id, OWNER);
    await environment.processor.process(environment.sent.pop()?.job);
    const working = environment.processor.process(shardJob(id, 0));
    await expect.poll(() => environment.agent.asked.length).toBe(3);

    await environment.store.discard(record);
    await working;
    await environment.processor.process(shardJob(id, 1)).catch(() => undefined);

    expect(environment.agent.asked.toSorted()).toEqual(messages(3));
  });
});

describe('a batch whose message was lost', () => {
  it('Q12: ends as expired when its state is read, with a line for each item', async () => {
    const environment = setUp();
    const id = await environment.submit(linesOf(6));
    await environment.processor.process(environment.sent.pop()?.job);
    await environment.processor.process(shardJob(id, 0));
    environment.sent.length = 0;
    environment.time.now += 26 * HOUR_MS;

    const found = await openAi(environment, id);
    const woken = environment.sent.length;
    await openAi(environment, id);
    const wokenAgain = environment.sent.length;
    await environment.drain();

    const ended = await openAi(environment, id);
    expect([woken, wokenAgain]).toEqual([1, 1]);
    expect(found).toMatchObject({ status: 'expired', expired_at: null });
    expect(ended).toMatchObject({
      status: 'expired',
      expired_at: expect.any(Number),
      request_counts: { total: 6, completed: 3, failed: 3 },
    });
    expect(await textOf(environment, ended.error_file_id)).toContain('batch_expired');
    expect(environment.sent).toEqual([]);
  });
});

describe('a batch whose last pass was long', () => {
  it('is ended by another delivery', async () => {
    const environment = setUp(
      async ({ message }) => {
        if (message === 'm2') await new Promise((resolve) => setTimeout(resolve, 60));
        return 'ok';
      },
      { longPassMs: 50 },
    );
    const id = await environment.submit(linesOf(3));
    await environment.processor.process(environment.sent.pop()?.job);

    await environment.processor.process(environment.sent.pop()?.job);
    const between = await openAi(environment, id);
    const again = [...environment.sent];
    await environment.drain();

    expect(between.status).toBe('finalizing');
    expect(again).toEqual([{ job: shardJob(id, 0), delaySeconds: 0 }]);
    expect((await openAi(environment, id)).status).toBe('completed');
    expect(environment.agent.asked.toSorted()).toEqual(messages(3));
  });
});
