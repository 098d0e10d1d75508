import { describe, expect, it } from 'vitest';
import type { Job } from '../../../shared/batch/model/job-message.ts';
import { linesOf, openAi, OWNER, setUp } from '../../support/batch/batch-environment.ts';
import { jobOf, messages, shardJob } from '../../support/batch/jobs.ts';
import { untilAborted } from '../../support/batch/scripted-agent.ts';

describe('T8 the messages of a batch', () => {
  it('are at most eight, however many shards it has', async () => {
    const environment = setUp();
    const id = await environment.submit(linesOf(100));
    let most = 0;

    // Oldest first, as the queue delivers them.
    for (let next = environment.sent.shift(); next !== undefined;) {
      await environment.processor.process(next.job);
      most = Math.max(most, environment.sent.length);
      next = environment.sent.shift();
    }

    expect(most).toBe(8);
    expect(environment.agent.asked.toSorted()).toEqual(messages(100).toSorted());
    expect(await openAi(environment, id)).toMatchObject({ status: 'completed' });
  });

  it('do not become more by 59 retries, and all items run again', async () => {
    let isWell = false;
    const environment = setUp(({ message }) => {
      if (isWell) return 'ok';
      throw new TypeError(`A defect at ${message}`);
    });
    const id = await environment.submit(linesOf(60));
    await environment.drain();
    isWell = true;

    for (let call = 0; call < 59; call += 1) await environment.batches.retryFailed(id, OWNER);
    const queued = environment.sent.length;
    await environment.drain();

    expect(queued).toBe(8);
    expect((await openAi(environment, id)).request_counts).toMatchObject({ completed: 60 });
    expect(environment.agent.asked).toHaveLength(120);
  });

  it('do not become more by 59 cancellations', async () => {
    const environment = setUp();
    const id = await environment.submit(linesOf(60));
    await environment.processor.process(environment.sent.pop()?.job);
    environment.sent.length = 0;

    for (let call = 0; call < 59; call += 1) await environment.batches.cancel(id, OWNER);
    const queued = environment.sent.length;
    await environment.drain();

    expect(queued).toBe(8);
    expect((await openAi(environment, id)).status).toBe('cancelled');
  });

  it('are sent again by a later call, as the earlier one may have ended before', async () => {
    const environment = setUp(() => {
      throw new TypeError('A defect');
    });
    const id = await environment.submit(linesOf(3));
    await environment.drain();
    await environment.batches.retryFailed(id, OWNER);
    environment.sent.length = 0;
    environment.time.now += 61_000;

    await environment.batches.retryFailed(id, OWNER);

    expect(environment.sent).toHaveLength(1);
  });

  it('converge to one for each shard when it was queued several times', async () => {
    const environment = setUp(undefined, { jobDeadlineMs: 0, concurrency: 1 });
    await environment.processor.process(jobOf('job', messages(3)));
    const { job: first } = environment.sent.pop() ?? {};
    const copies: (Job | undefined)[] = [first, shardJob('job'), shardJob('job'), first];

    for (const copy of copies) await environment.processor.process(copy);
    const chains = environment.sent.splice(0);
    for (const { job } of chains) await environment.processor.process(job);

    // Only the message of the latest delivery continues the shard.
    expect(chains.length).toBeGreaterThan(1);
    expect(environment.sent).toHaveLength(1);
  });

  it('survive a delivery that ends before it has sent the next one', async () => {
    let isAway = true;
    const environment = setUp(undefined, { jobDeadlineMs: 0 });
    await environment.processor.process(jobOf('job', messages(3)));
    const { job } = environment.sent.pop() ?? {};
    const sender = {
      async send(sending: Job) {
        if (isAway) throw new Error('queue away');
        environment.sent.push({ job: sending, delaySeconds: 0 });
      },
      hasWaiting: async () => false,
    };
    const { store, inputs } = environment;
    const other = setUp(undefined, { store, inputs, sender, jobDeadlineMs: 0 });
    await expect(other.processor.process(job)).rejects.toThrow('queue away');
    isAway = false;

    await other.processor.process(job);

    expect(environment.sent).toHaveLength(1);
  });

  it('wait twice as long each time while another delivery has the shard', async () => {
    const { processor, agent, sent } = setUp(({ signal }) => untilAborted(signal));
    const running = processor.process(jobOf('job', ['hi']));
    await expect.poll(() => agent.asked).toHaveLength(1);

    await processor.process(shardJob('job'));
    for (let delivery = 0; delivery < 6; delivery += 1) await processor.process(sent.at(-1)?.job);

    const delays = sent.map(({ delaySeconds }) => delaySeconds);
    expect(delays).toEqual([10, 20, 40, 80, 160, 160, 160]);
    await processor.stop();
    await running;
  });
});

describe('T8 a shard at work', () => {
  it('makes way for a message that waits, and continues behind it', async () => {
    const waiting = { is: true };
    const sent: Job[] = [];
    const sender = {
      async send(job: Job) {
        sent.push(job);
      },
      hasWaiting: async () => waiting.is,
    };
    const pause = () => new Promise<string>((resolve) => setTimeout(resolve, 5, 'ok'));
    const { processor, agent, telemetry } = setUp(pause, {
      sender,
      yieldCheckMs: 10,
      concurrency: 1,
    });

    await processor.process(jobOf('job', messages(50)));
    const before = agent.asked.length;
    waiting.is = false;
    await processor.process(sent[0]);

    expect(before).toBeLessThan(50);
    expect(telemetry.lines).toContainEqual(
      expect.objectContaining({
        message: 'batch shard rescheduled',
        fields: expect.objectContaining({ reason: 'yielded', delaySeconds: 0 }),
      }),
    );
    expect(agent.asked).toEqual(messages(50));
    expect(sent).toHaveLength(1);
  });
});
