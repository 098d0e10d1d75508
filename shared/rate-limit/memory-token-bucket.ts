import type { Ratelimit, RatelimitConfig } from '@upstash/ratelimit';
import type { Taken } from './bucket-store.ts';
import type { TokenBuckets } from './memory-bucket-store.ts';

type MemoryAlgorithm = RatelimitConfig['limiter'];
type Verdict = Awaited<ReturnType<Ratelimit['limit']>>;

/** Buckets in this process as an algorithm of the same class that limits in Redis. */
export function memoryTokenBucket(buckets: TokenBuckets, capacity: number): MemoryAlgorithm {
  return () => ({
    limit: async (_context, key, amount = 1) => toVerdict(buckets.take(key, amount), capacity),
    async getRemaining(_context, key) {
      const { remaining, resetAt } = buckets.look(key);
      return { remaining, reset: resetAt, limit: capacity };
    },
    resetTokens: async (_context, key) => buckets.forget(key),
  });
}

function toVerdict({ taken, remaining, resetAt }: Taken, capacity: number): Verdict {
  return {
    success: taken,
    limit: capacity,
    remaining,
    reset: resetAt,
    pending: Promise.resolve(),
  };
}
