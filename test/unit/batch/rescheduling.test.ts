import { describe, expect, it } from 'vitest';
import type { JournalEntry } from '../../../shared/batch/storage/journal.ts';
import { ServiceError } from '../../../shared/errors.ts';
import { jobOf, messages, shardJob } from '../../support/batch/jobs.ts';
import { makeProcessor } from '../../support/batch/make-processor.ts';
import { untilAborted } from '../../support/batch/scripted-agent.ts';

const away = (): never => {
  throw new ServiceError('upstream_timeout', 'The model is slow');
};

describe('a batch job that is rescheduled', () => {
  it('starts no more items after its deadline and continues where it stopped', async () => {
    const { processor, agent, sent, store } = makeProcessor({
      concurrency: 1,
      jobDeadlineMs: 100,
      script: async ({ message }) => {
        if (message === 'm1') await new Promise((resolve) => setTimeout(resolve, 150));
        return 'ok';
      },
    });
    const job = jobOf('job', messages(4));
    await processor.process(job);
    const before = agent.asked.length;
    const first = [...sent];

    for (let next = sent.pop(); next !== undefined; next = sent.pop()) {
      await processor.process(next.job);
    }

    expect(before).toBeLessThan(3);
    expect(first).toMatchObject([{ job: shardJob('job'), delaySeconds: 0 }]);
    expect(agent.asked).toEqual(messages(4));
    expect((await store.read('job'))?.results.size).toBe(4);
  });

  it.each([10, -10])(
    'Q10: starts items until its deadline when the clock is set, %i minutes off',
    async (minutes) => {
      const { processor, agent, sent, time } = makeProcessor({
        concurrency: 1,
        script({ message }) {
          if (message === 'm1') time.now += minutes * 60_000;
          return 'ok';
        },
      });

      await processor.process(jobOf('job', messages(5)));

      expect(agent.asked).toEqual(messages(5));
      expect(sent).toEqual([]);
    },
  );

  it('Q6: stop aborts running items, keeps results and reschedules the job', async () => {
    const { processor, agent, sent, store } = makeProcessor({
      script: ({ message, signal }) => (message === 'm0' ? 'ok' : untilAborted(signal)),
    });
    const job = jobOf('job', messages(10));
    const delivery = processor.process(job);
    await expect.poll(() => agent.asked).toHaveLength(5);

    await processor.stop();

    expect(sent).toMatchObject([{ job: shardJob('job'), delaySeconds: 0 }]);
    expect([...((await store.read('job'))?.results.keys() ?? [])]).toEqual([0]);
    expect(store.isLeased('job')).toBe(false);
    await delivery;
  });

  it('Q6: stop does not wait for an agent that ignores its signal', async () => {
    const { processor, agent, sent } = makeProcessor({
      script: () => new Promise(() => undefined),
    });
    const delivery = processor.process(jobOf('job', messages(2)));
    await expect.poll(() => agent.asked).toHaveLength(2);

    await processor.stop();

    await delivery;
    expect(sent).toHaveLength(1);
  });

  it('Q6: a message after the stop is requeued unchanged', async () => {
    const { processor, agent, sent } = makeProcessor();
    await processor.stop();

    await processor.process(jobOf('job', ['hi']));

    expect(agent.asked).toEqual([]);
    expect(sent).toHaveLength(1);
  });

  it('F15: aborts running items when it loses its lease, and requeues the job', async () => {
    const { processor, agent, sent, store } = makeProcessor({
      script: ({ signal }) => untilAborted(signal),
    });
    const delivery = processor.process(jobOf('job', messages(2)));
    await expect.poll(() => agent.asked).toHaveLength(2);

    store.loseLease('job');

    await delivery;
    expect(sent).toMatchObject([{ job: { v: 1, jobId: 'job', shard: 0 }, delaySeconds: 10 }]);
  });

  it('rejects when the job cannot be requeued, so that the platform delivers it again', async () => {
    const { processor } = makeProcessor({
      script: away,
      sender: {
        async send() {
          throw new Error('queue unavailable');
        },
        hasWaiting: async () => false,
      },
    });

    const delivery = processor.process(jobOf('job', ['hi']));

    await expect(delivery).rejects.toThrow('queue unavailable');
  });
});

describe('a batch job whose storage is unavailable', () => {
  it('Q11: rejects when it cannot be opened', async () => {
    const { processor, store, agent, sent } = makeProcessor();
    store.breakWith(new Error('storage unavailable'));

    const deliveries = [processor.process(jobOf('job', ['hi'])), processor.process('rubbish')];

    const outcomes = await Promise.allSettled(deliveries);
    expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    expect([agent.asked, sent]).toEqual([[], []]);
  });

  it('Q11: rejects when a result cannot be stored and starts no more items', async () => {
    const { processor, store, agent } = makeProcessor({
      concurrency: 2,
      script: ({ message, signal }) => {
        if (message !== 'm0') return untilAborted(signal);
        store.breakWith(new Error('storage unavailable'));
        return 'ok';
      },
    });

    const delivery = processor.process(jobOf('job', messages(10)));

    await expect(delivery).rejects.toThrow('storage unavailable');
    expect(agent.asked).toEqual(['m0', 'm1']);
    expect(store.isLeased('job')).toBe(false);
  });

  it('Q11: continues without a loss when storage recovers', async () => {
    const { processor, store, agent } = makeProcessor({
      concurrency: 1,
      script: ({ message, call }) => {
        if (message === 'm2' && call === 1) store.breakWith(new Error('storage unavailable'));
        return 'ok';
      },
    });
    const job = jobOf('job', messages(5));
    await expect(processor.process(job)).rejects.toThrow('storage unavailable');
    store.breakWith(undefined);

    await processor.process(job);

    expect((await store.read('job'))?.results.size).toBe(5);
    expect(agent.asked).toEqual(['m0', 'm1', 'm2', 'm2', 'm3', 'm4']);
  });
});

describe('a batch job that ends its process', () => {
  it('is exhausted after eight crashes in a row and keeps its results', async () => {
    const { processor, store, agent } = makeProcessor({
      script: ({ message, signal }) => (message === 'm0' ? 'ok' : untilAborted(signal)),
    });
    const job = jobOf('job', messages(3));
    const delivery = processor.process(job);
    await expect.poll(() => agent.asked).toHaveLength(3);
    await processor.stop();
    await delivery;
    store.write('job', crashes(8));
    const { processor: next, sent } = makeProcessor({ store });

    await next.process(job);

    const results = [...((await store.read('job'))?.results.values() ?? [])];
    expect(results.map(({ error }) => error?.code)).toEqual([undefined, 'exhausted', 'exhausted']);
    expect(results[1]?.error?.message).toContain('the process ended 8 times in a row');
    expect(sent).toEqual([]);
  });

  it('continues while its deliveries write results', async () => {
    const { processor, store } = makeProcessor();
    const job = jobOf('job', messages(2));
    await processor.process(job);
    const [head, , first] = store.entries('job');
    const { processor: next, store: fresh, agent } = makeProcessor();
    if (head === undefined || first === undefined) throw new Error('The journal is too short');
    fresh.write('job', [head, ...crashes(7), first, ...crashes(1)]);

    await next.process(job);

    expect((await fresh.read('job'))?.results.size).toBe(2);
    expect(agent.asked).toEqual(['m1']);
  });
});

/** The entries of deliveries whose process ended before they wrote anything else. */
function crashes(count: number): JournalEntry[] {
  return Array.from({ length: count }, () => ({ type: 'opened' }));
}
