import { describe, expect, it } from 'vitest';
import { ServiceError } from '../../../../shared/errors.ts';
import { itemOf, jobOf, messages, shardJob } from '../../../support/batch/jobs.ts';
import { makeProcessor } from '../../../support/batch/make-processor.ts';

const away = (): never => {
  throw new ServiceError('upstream_timeout', 'The model is slow');
};

describe('a batch job', () => {
  it('gives each item one result, in the format of batch files', async () => {
    const { processor, store } = makeProcessor();

    await processor.process(jobOf('job', ['hi', 'ho']));

    const view = await store.read('job');
    expect(view?.results.get(1)).toEqual({
      id: 'batch_req_job_1',
      custom_id: 'id-ho',
      response: {
        status_code: 200,
        request_id: expect.any(String),
        body: expect.objectContaining({ response: 're: ho', model: 'scripted' }),
      },
      error: null,
    });
    expect(view?.results.size).toBe(2);
    expect(store.isLeased('job')).toBe(false);
  });

  it('Q1: stores an invalid job with the reason and runs nothing', async () => {
    const { processor, store, agent, sent } = makeProcessor();

    await processor.process('not a job');
    await processor.process(null);

    expect(store.deadLetters()).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ reason: expect.stringContaining('neither JSON nor base64') }),
        expect.objectContaining({
          reason: expect.stringContaining('must be of type object'),
          message: 'null',
        }),
      ]),
    );
    expect([agent.asked, sent]).toEqual([[], []]);
  });

  it('T11 names an unknown field in the dead letter and not in the log', async () => {
    const { processor, store, telemetry } = makeProcessor();

    await processor.process({ v: 1, jobId: 'job', items: [{}], 'Jane Doe, born 1970': true });

    expect(JSON.stringify(store.deadLetters())).toContain('Jane Doe');
    expect(telemetry.lines).toEqual([
      expect.objectContaining({
        message: 'batch message rejected',
        fields: expect.objectContaining({
          reason: 'The message is not a job: it has an unknown field',
        }),
      }),
    ]);
  });

  it('stores a second job with a used id as a dead letter', async () => {
    const { processor, store, agent } = makeProcessor();
    await processor.process(jobOf('job', ['first']));

    await processor.process(jobOf('job', ['second']));

    expect(store.deadLetters()).toMatchObject([
      { jobId: 'job', reason: expect.stringContaining('Another job') },
    ]);
    expect(agent.asked).toEqual(['first']);
  });

  it('Q3: runs nothing again when the message is delivered again', async () => {
    const { processor, agent, store } = makeProcessor();
    await processor.process(jobOf('job', messages(3)));
    const lines = store.entries('job').length;

    await processor.process(jobOf('job', messages(3)));

    expect(agent.asked).toHaveLength(3);
    expect(store.entries('job')).toHaveLength(lines);
  });

  it('Q9: reschedules itself while another delivery works on the job', async () => {
    const gate = Promise.withResolvers<string>();
    const { processor, agent, sent } = makeProcessor({ script: () => gate.promise });
    const job = jobOf('job', ['hi']);
    const first = processor.process(job);
    await expect.poll(() => agent.asked).toHaveLength(1);

    await processor.process(job);

    expect(sent).toMatchObject([{ job: shardJob('job'), delaySeconds: 10 }]);
    gate.resolve('done');
    await first;
    expect(agent.asked).toHaveLength(1);
  });

  it('Q7: records an error for one item and results for the 99 others', async () => {
    const { processor, store, agent, sent } = makeProcessor({
      script: ({ message }) => {
        if (message === 'm7') throw new ServiceError('content_filtered', 'The model refused');
        return 'ok';
      },
    });

    await processor.process(jobOf('job', messages(100)));

    const lines = [...((await store.read('job'))?.results.values() ?? [])];
    expect(lines.filter(({ error }) => error === null)).toHaveLength(99);
    expect(lines.filter(({ error }) => error !== null)).toMatchObject([
      { custom_id: 'id-m7', error: { code: 'content_filtered', message: 'The model refused' } },
    ]);
    expect([agent.asked.length, sent.length]).toEqual([100, 0]);
  });

  it('records an error for each invalid item, refused body and repeated id', async () => {
    const { processor, store, agent } = makeProcessor();
    const items = [
      itemOf('good'),
      { custom_id: 'no-body' },
      'text',
      { custom_id: 'unknown-field', body: { message: 'hi', temprature: 1 } },
      itemOf('again', 'id-good'),
    ];

    await processor.process({ v: 1, jobId: 'job', items });

    const results = (await store.read('job'))?.results;
    const verdicts = items.map((_item, index) => {
      const line = results?.get(index);
      return [line?.custom_id, line?.error?.code];
    });
    expect(verdicts).toEqual([
      ['id-good', undefined],
      ['no-body', 'invalid_item'],
      [null, 'invalid_item'],
      ['unknown-field', 'invalid_request'],
      ['id-good', 'duplicate_custom_id'],
    ]);
    expect(agent.asked).toEqual(['good']);
  });

  it('records a defect as internal, without its text, and logs it as an error', async () => {
    const { processor, store, telemetry } = makeProcessor({
      script: () => {
        throw new TypeError('secret');
      },
    });

    await processor.process(jobOf('job', ['hi']));

    const line = (await store.read('job'))?.results.get(0);
    expect(line?.error?.code).toBe('internal');
    expect(JSON.stringify([line, telemetry.lines])).not.toContain('secret');
    expect(telemetry.lines).toContainEqual(
      expect.objectContaining({ level: 'error', message: 'batch item failed' }),
    );
  });

  it('stays within its concurrency', async () => {
    const { processor, agent } = makeProcessor({
      concurrency: 3,
      script: async () => {
        await new Promise((resolve) => setImmediate(resolve));
        return 'ok';
      },
    });

    await processor.process(jobOf('job', messages(20)));

    expect(agent.mostAtOnce()).toBe(3);
  });
});

describe('a batch item with a transient failure', () => {
  it('Q7: runs again after a delay and succeeds', async () => {
    const { processor, store, agent, sent, time } = makeProcessor({
      script: ({ message, call }) => (message === 'm1' && call === 1 ? away() : 'ok'),
    });
    const job = jobOf('job', messages(3));
    await processor.process(job);

    time.now += 5_000;
    await processor.process(job);

    expect(sent).toMatchObject([{ job: shardJob('job'), delaySeconds: 5 }]);
    expect(agent.asked).toEqual(['m0', 'm1', 'm2', 'm1']);
    expect((await store.read('job'))?.results.size).toBe(3);
  });

  it('Q7: is recorded as exhausted after five attempts with growing delays', async () => {
    const { processor, store, agent, sent, time } = makeProcessor({ script: away });
    const job = jobOf('job', ['hi']);

    for (let delivery = 1; delivery <= 5; delivery += 1) {
      await processor.process(job);
      time.now += (sent.at(-1)?.delaySeconds ?? 0) * 1_000;
    }

    expect(sent.map(({ delaySeconds }) => delaySeconds)).toEqual([5, 10, 20, 40]);
    expect(agent.asked).toHaveLength(5);
    expect((await store.read('job'))?.results.get(0)?.error).toEqual({
      code: 'exhausted',
      message: 'The item failed 5 times, at last with upstream_timeout',
    });
  });

  it('Q8: waits as long as the endpoint requested', async () => {
    const { processor, sent } = makeProcessor({
      script: () => {
        throw new ServiceError('upstream_rate_limited', 'Too fast', { retryAfterSeconds: 42 });
      },
    });

    await processor.process(jobOf('job', ['hi']));

    expect(sent).toMatchObject([{ delaySeconds: 42 }]);
  });

  it('Q3: loses no attempts to copies of the message that arrive early', async () => {
    const { processor, agent, sent, store } = makeProcessor({ script: away });
    const job = jobOf('job', ['hi']);
    await processor.process(job);
    const lines = store.entries('job').length;

    for (let copy = 0; copy < 10; copy += 1) await processor.process(job);

    expect(agent.asked).toHaveLength(1);
    expect(sent).toHaveLength(11);
    expect(new Set(sent.map(({ delaySeconds }) => delaySeconds))).toEqual(new Set([5]));
    expect(store.entries('job')).toHaveLength(lines);
  });

  it('continues at once when its deadline passed before it ran every item', async () => {
    const { processor, sent, agent } = makeProcessor({ jobDeadlineMs: 0.001, script: away });

    await processor.process(jobOf('job', messages(2)));

    expect(agent.asked).toEqual([]);
    expect(sent).toMatchObject([{ delaySeconds: 0 }]);
  });

  it('counts an item as failed when the agent exceeds its time limit', async () => {
    const { processor, store } = makeProcessor({
      itemDeadlineMs: 20,
      script: () => new Promise(() => undefined),
    });

    await processor.process(jobOf('job', ['hi']));

    expect(store.entries('job')).toContainEqual(
      expect.objectContaining({ type: 'attempt', code: 'upstream_timeout' }),
    );
  });
});
