import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { systemClock } from '../../shared/clock.ts';
import {
  createMemoryBuckets,
  type BucketShape,
  type BucketStore,
} from '../../shared/rate-limit/rate-limiter.ts';
import { createRedisBuckets } from '../../shared/rate-limit/redis-bucket-store.ts';
import { createRedisClient } from '../../shared/redis/redis-client.ts';
import { startRedisEnvironment, type RedisEnvironment } from '../../dev/redis/redis-environment.ts';
import { requireTool } from '../support/required-tools.ts';

/** Far above what any of these tests takes, so that nothing fills up while one runs. */
const HOUR_MS = 3_600_000;

describe('buckets in this process', () => {
  behavesAsBucketStore((shape) =>
    createMemoryBuckets({ ...shape, maxKeys: 1_000, clock: systemClock }),
  );
});

describe('buckets in Redis', requireTool('redis-server'), () => {
  let environment: RedisEnvironment;
  beforeAll(async () => {
    environment = await startRedisEnvironment();
  });
  afterAll(() => environment.close());

  let count = 0;
  behavesAsBucketStore((shape) => {
    count += 1;
    const { url, token } = environment.bridge;
    const redis = createRedisClient({ url, token, timeoutMs: 5_000 });
    return createRedisBuckets({
      ...shape,
      redis,
      prefix: `store-${count}`,
      clock: systemClock,
    });
  });
});

/** The same table for both: an instance must not notice which of them keeps its limits. */
function behavesAsBucketStore(create: (shape: BucketShape) => BucketStore): void {
  it('takes the whole amount or nothing', async () => {
    const store = create({ capacity: 1_000, intervalMs: HOUR_MS });

    const steps = [];
    for (const amount of [600, 600, 100, 300, 1]) steps.push(await store.take('a', amount));

    expect(steps.map(({ taken }) => taken)).toEqual([true, false, true, true, false]);
    expect(steps.filter(({ taken }) => taken).map(({ remaining }) => remaining)).toEqual([
      400, 300, 0,
    ]);
  });

  it('reports when the bucket is full again', async () => {
    const store = create({ capacity: 10, intervalMs: HOUR_MS });
    const before = Date.now();

    const first = await store.take('a', 10);
    const second = await store.take('a', 1);

    expect(first.resetAt).toBeGreaterThanOrEqual(before + HOUR_MS);
    expect(first.resetAt).toBeLessThanOrEqual(Date.now() + HOUR_MS);
    expect(second).toMatchObject({ taken: false, remaining: 0 });
    // In Redis the time of the answer on its way counts.
    expect(Math.abs(second.resetAt - first.resetAt)).toBeLessThan(HOUR_MS / 1_000);
  });

  it('gives every key a bucket of its own, whatever its name', async () => {
    const store = create({ capacity: 1, intervalMs: HOUR_MS });
    const keys = ['a', 'b', '*', 'a:b', '__proto__', 'ключ'];

    const first = [];
    for (const key of keys) first.push(await store.take(key, 1));
    const second = [];
    for (const key of keys) second.push(await store.take(key, 1));

    expect(first.every(({ taken }) => taken)).toBe(true);
    expect(second.some(({ taken }) => taken)).toBe(false);
  });

  it('refunds tokens that were not used', async () => {
    const store = create({ capacity: 1_000, intervalMs: HOUR_MS });
    await store.take('a', 900);

    await store.adjust('a', -650);

    expect(await store.take('a', 750)).toMatchObject({ taken: true, remaining: 0 });
  });

  it('charges extra tokens, down to an empty bucket', async () => {
    const store = create({ capacity: 1_000, intervalMs: HOUR_MS });
    await store.take('a', 500);

    await store.adjust('a', 200);
    const afterSome = await store.take('a', 0);
    await store.adjust('a', 5_000);
    const afterTooMuch = await store.take('a', 1);

    expect(afterSome.remaining).toBe(300);
    expect(afterTooMuch).toMatchObject({ taken: false, remaining: 0 });
  });

  it('never takes more than the capacity under concurrency', async () => {
    const store = create({ capacity: 20_000, intervalMs: HOUR_MS });

    const all = await Promise.all(Array.from({ length: 100 }, () => store.take('a', 1_000)));

    expect(all.filter(({ taken }) => taken)).toHaveLength(20);
  });

  it('refills the whole bucket at the end of the interval, not earlier', async () => {
    const intervalMs = 300;
    const store = create({ capacity: 5, intervalMs });
    const before = Date.now();
    await store.take('a', 5);

    let next = await store.take('a', 1);
    while (!next.taken) next = await store.take('a', 1);

    expect(Date.now()).toBeGreaterThanOrEqual(before + intervalMs);
    expect(next.remaining).toBe(4);
  });
}
