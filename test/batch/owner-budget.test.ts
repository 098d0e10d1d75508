import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createOwnerBudgets } from '../../shared/composition-root/batch.ts';
import { systemClock } from '../../shared/clock.ts';
import { jobOf, messages, QUEUE_OWNER_ID } from '../support/batch/jobs.ts';
import { storageProcessor } from '../support/batch/storage-processor.ts';
import {
  startStorageEnvironment,
  type StorageEnvironment,
} from '../support/batch/storage-environment.ts';
import { createLimiter, createRedisParts } from '../support/limits.ts';
import { startRedisEnvironment, type RedisEnvironment } from '../../dev/redis/redis-environment.ts';
import { requireTool } from '../support/required-tools.ts';

const DAY_MS = 86_400_000;

describe('T3 batches of one owner on two instances', requireTool('redis-server'), () => {
  let storage: StorageEnvironment;
  let redis: RedisEnvironment;
  beforeAll(async () => {
    [storage, redis] = await Promise.all([startStorageEnvironment(), startRedisEnvironment()]);
  });
  afterAll(() => Promise.all([storage.stop(), redis.close()]));

  function createInstance() {
    const { shared } = createRedisParts({ ...redis.bridge, clock: systemClock });
    const limiter = createLimiter({
      settings: { tokensPerDay: 5_000 },
      shared,
      clock: systemClock,
    });
    const measure = () => ({ texts: [], maxOutputTokens: 600 });
    const budgets = createOwnerBudgets({ limiter, measure });
    return storageProcessor({ ...storage, budgets, tokensPerItem: 500 });
  }

  it('use no more than its daily budget, and wait for the next day', async () => {
    const instances = [createInstance(), createInstance()] as const;

    await Promise.all(
      instances.map(({ processor }, number) =>
        processor.process(jobOf(`budget-${number}`, messages(20))),
      ),
    );

    const items = instances.flatMap(({ agent }) => agent.asked).length;
    const { batches } = instances[0].batch;
    const views = await Promise.all(
      [0, 1].map((number) => batches.view(`budget-${number}`, QUEUE_OWNER_ID)),
    );
    // The last tokens do not cover what one more item reserves.
    expect(items * 500).toBeLessThanOrEqual(5_000);
    expect(items).toBeGreaterThan(0);
    expect(views.map(({ counts }) => counts.completed).reduce((a, b) => a + b)).toBe(items);
    for (const { budgetReturnsAt = 0 } of views) {
      // Storage tells the time in whole seconds.
      const offMs = Math.abs(budgetReturnsAt - Math.round(budgetReturnsAt / DAY_MS) * DAY_MS);
      expect(offMs).toBeLessThan(5_000);
    }
    const { approximateMessagesCount } = await storage.jobs.getProperties();
    const { peekedMessageItems: visible } = await storage.jobs.peekMessages();
    expect([approximateMessagesCount, visible]).toEqual([2, []]);
  });
});
