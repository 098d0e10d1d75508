import { describe, expect, it } from 'vitest';
import { createBlobBatchStore } from '../../../shared/batch/storage/batch-store.ts';
import { createConcurrencyLimiters } from '../../../shared/batch/processing/concurrency-limiter.ts';
import { ServiceError } from '../../../shared/errors.ts';
import { createMemoryStore } from '../../support/batch/memory-store.ts';
import { jobOf, messages, shardJob } from '../../support/batch/jobs.ts';
import { makeProcessor } from '../../support/batch/make-processor.ts';
import { untilAborted, type Script } from '../../support/batch/scripted-agent.ts';
import { createMeteredTelemetry } from '../../support/metered-telemetry.ts';

const ITEMS = 'agent_batch_items_total';

/** A processor with a real metrics registry. */
function setUp(script: Script, limiter = createConcurrencyLimiters({ max: 256 })) {
  const { telemetry, value } = createMeteredTelemetry();
  const memory = createMemoryStore();
  const { container } = memory;
  const store = {
    ...memory,
    ...createBlobBatchStore({ container: container, clock: { now: () => 0 }, telemetry }),
  };
  return {
    ...makeProcessor({ script, store, limiters: limiter, telemetry, cancelCheckMs: 5 }),
    value,
    limiter,
  };
}

function refusal(code: 'content_filtered' | 'upstream_rate_limited' | 'upstream_timeout'): Error {
  return new ServiceError(code, 'No');
}

describe('metrics of a batch', () => {
  it('count each result when it is durable, while the batch still runs', async () => {
    const last = Promise.withResolvers<string>();
    const { processor, value } = setUp(({ message }) => {
      if (message === 'm1') throw refusal('content_filtered');
      return message === 'm5' ? last.promise : 'ok';
    });

    const delivery = processor.process(jobOf('job', messages(6)));
    await expect.poll(() => value(ITEMS)).toBe(5);
    const meanwhile = value(ITEMS, { outcome: 'failed', error_type: 'content_filtered' });
    last.resolve('ok');
    await delivery;

    expect(meanwhile).toBe(1);
    expect(value(ITEMS, { outcome: 'succeeded' })).toBe(5);
    expect(value('agent_batch_item_duration_seconds_count', { outcome: 'succeeded' })).toBe(5);
    expect(value('agent_batch_item_duration_seconds_count', { outcome: 'failed' })).toBe(1);
  });

  it('count nothing twice when the message comes again', async () => {
    const { processor, value } = setUp(() => 'ok');
    await processor.process(jobOf('job', messages(3)));

    await processor.process(jobOf('job', messages(3)));

    expect(value(ITEMS)).toBe(3);
  });

  it('count what a retry runs again, and nothing else', async () => {
    const { processor, value, store } = setUp(({ message, call }) => {
      if (message === 'm0' && call === 1) throw refusal('content_filtered');
      return 'ok';
    });
    await processor.process(jobOf('job', messages(3)));

    await store.change('job', (record) => ({ ...record, generation: 1 }));
    await processor.process(shardJob('job'));

    const counts = ['succeeded', 'failed'].map((outcome) => value(ITEMS, { outcome }));
    expect(counts).toEqual([3, 1]);
  });

  it('count items that are not tried any more', async () => {
    const { processor, value, store, agent } = setUp(({ signal }) => untilAborted(signal));
    const delivery = processor.process(jobOf('job', ['m0']));
    await expect.poll(() => agent.asked).toHaveLength(1);

    await store.change('job', (record) => ({ ...record, cancelledAt: record.createdAt }));
    await delivery;

    const labels = { outcome: 'failed', error_type: 'batch_cancelled' };
    expect([value(ITEMS), value(ITEMS, labels)]).toEqual([1, 1]);
  });

  it('distinguish a model without capacity from items that fail', async () => {
    const { processor, value, limiter, agent } = setUp(() => {
      throw refusal('upstream_rate_limited');
    });

    await processor.process(jobOf('job', messages(6)));

    const rescheduled = { outcome: 'rescheduled', reason: 'throttled' };
    const throttled = { error_type: 'upstream_rate_limited' };
    expect(value('agent_batch_item_throttled_total', throttled)).toBe(agent.asked.length);
    expect(value('agent_batch_shards_total', rescheduled)).toBe(1);
    expect(value(ITEMS)).toBe(0);
    expect(limiter.load()).toEqual({ active: 0, limit: 0 });
  });

  it.each([
    ['waiting', 'upstream_timeout'],
    ['stopping', undefined],
  ] as const)('name the reason of a rescheduled job: %s', async (reason, code) => {
    const { processor, value, agent } = setUp(({ signal }) => {
      if (code !== undefined) throw refusal(code);
      return untilAborted(signal);
    });

    const delivery = processor.process(jobOf('job', ['m0']));
    await expect.poll(() => agent.asked).toEqual(['m0']);
    if (code === undefined) await processor.stop();
    await delivery;

    expect(value('agent_batch_shards_total', { outcome: 'rescheduled', reason })).toBe(1);
    expect(value('agent_batch_item_throttled_total')).toBe(0);
  });

  it('report running items and the limit', async () => {
    const answer = Promise.withResolvers<string>();
    const { processor, limiter, agent } = setUp(
      () => answer.promise,
      createConcurrencyLimiters({ max: 3 }),
    );

    const delivery = processor.process(jobOf('job', messages(6)));
    await expect.poll(() => agent.asked).toHaveLength(3);
    const load = limiter.load();
    answer.resolve('ok');
    await delivery;

    expect(load).toEqual({ active: 3, limit: 3 });
    expect(limiter.load()).toEqual({ active: 0, limit: 3 });
  });
});
