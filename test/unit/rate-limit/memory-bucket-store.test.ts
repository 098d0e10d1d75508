import { describe, expect, it } from 'vitest';
import { createMemoryBuckets } from '../../../shared/rate-limit/rate-limiter.ts';
import { heapBytes } from '../../support/heap-bytes.ts';
import { createHandClock } from '../../support/limits.ts';

describe('token buckets in this process', () => {
  it('R9 stay within their bound at 1,000,000 keys', async () => {
    const buckets = createMemoryBuckets({
      capacity: 60,
      intervalMs: 60_000,
      maxKeys: 10_000,
      clock: createHandClock(),
    });
    const before = heapBytes();

    for (let index = 0; index < 1_000_000; index += 1) await buckets.take(`caller-${index}`, 1);

    expect(buckets.size()).toBe(10_000);
    // Without the bound it would hold a million buckets and their names.
    expect(heapBytes() - before).toBeLessThan(20_000_000);
  });

  it('R9 keep an active caller while many other keys arrive', async () => {
    const buckets = createMemoryBuckets({
      capacity: 2,
      intervalMs: 60_000,
      maxKeys: 100,
      clock: createHandClock(),
    });
    await buckets.take('victim', 2);

    let passed = 0;
    for (let index = 0; index < 10_000; index += 1) {
      await buckets.take(`flood-${index}`, 1);
      if (index % 50 !== 0) continue;
      if ((await buckets.take('victim', 1)).taken) passed += 1;
    }

    expect(passed).toBe(0);
  });

  it('refill at fixed intervals from the first request', async () => {
    const clock = createHandClock();
    const buckets = createMemoryBuckets({ capacity: 10, intervalMs: 1_000, maxKeys: 10, clock });
    const first = await buckets.take('a', 5);

    clock.advance(900);
    await buckets.take('a', 1);
    clock.advance(800);
    const third = await buckets.take('a', 10);

    expect(third).toEqual({ taken: true, remaining: 0, resetAt: first.resetAt + 1_000 });
  });

  it('hold at most their capacity after a refund', async () => {
    const clock = createHandClock();
    const buckets = createMemoryBuckets({ capacity: 10, intervalMs: 1_000, maxKeys: 10, clock });
    await buckets.take('a', 5);
    clock.advance(1_000);

    const { remaining } = await buckets.take('a', -5);

    expect(remaining).toBe(10);
  });
});
