import { describe, expect, it } from 'vitest';
import { createTokenBuckets } from '../../../shared/rate-limit/memory-bucket-store.ts';
import { heapBytes } from '../../support/heap-bytes.ts';
import { createHandClock } from '../../support/limits.ts';

describe('token buckets in this process', () => {
  it('R9 stay within their number under a flood of 1,000,000 keys', () => {
    const buckets = createTokenBuckets({
      capacity: 60,
      intervalMs: 60_000,
      maxKeys: 10_000,
      clock: createHandClock(),
    });
    const before = heapBytes();

    for (let index = 0; index < 1_000_000; index += 1) buckets.take(`caller-${index}`, 1);

    expect(buckets.size()).toBe(10_000);
    // Without the bound it would hold a million buckets and their names.
    expect(heapBytes() - before).toBeLessThan(20_000_000);
  });

  it('R9 remember a caller who keeps coming while a flood passes', () => {
    const buckets = createTokenBuckets({
      capacity: 2,
      intervalMs: 60_000,
      maxKeys: 100,
      clock: createHandClock(),
    });
    buckets.take('victim', 2);

    let passed = 0;
    for (let index = 0; index < 10_000; index += 1) {
      buckets.take(`flood-${index}`, 1);
      if (index % 50 === 0 && buckets.take('victim', 1).taken) passed += 1;
    }

    expect(passed).toBe(0);
  });

  it('keep their rhythm from the first request on', () => {
    const clock = createHandClock();
    const buckets = createTokenBuckets({ capacity: 10, intervalMs: 1_000, maxKeys: 10, clock });
    const first = buckets.take('a', 5);

    clock.advance(900);
    buckets.take('a', 1);
    clock.advance(800);
    const third = buckets.take('a', 10);

    expect(third).toEqual({ taken: true, remaining: 0, resetAt: first.resetAt + 1_000 });
  });

  it('hold no more than they can when something is given back', () => {
    const clock = createHandClock();
    const buckets = createTokenBuckets({ capacity: 10, intervalMs: 1_000, maxKeys: 10, clock });
    buckets.take('a', 5);
    clock.advance(1_000);

    expect(buckets.take('a', -5).remaining).toBe(10);
  });
});
