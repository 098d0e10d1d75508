import { Ratelimit, type RatelimitConfig } from '@upstash/ratelimit';
import * as z from 'zod';
import type { BucketShape, BucketStore, TakeResult } from './bucket-store.ts';

interface RedisBucketsOptions extends BucketShape {
  readonly redis: RatelimitConfig['redis'];
  /** Prepended to every key. */
  readonly prefix: string;
}

const remainingSchema = z.object({ remaining: z.number().int().min(0) });

/**
 * The buckets of one policy in Redis, shared by all instances. Rejects if Redis fails or returns
 * an unexpected result; the caller limits the time.
 */
export function createRedisBuckets(options: RedisBucketsOptions): BucketStore {
  const { capacity, intervalMs, redis, prefix } = options;
  const ratelimit = new Ratelimit({
    redis,
    limiter: Ratelimit.tokenBucket(capacity, `${intervalMs} ms`, capacity),
    prefix,
    // The library's cache blocks small requests after a large one was refused, and has no bound.
    ephemeralCache: false,
    // The library's timeout allows every request.
    timeout: 0,
    analytics: false,
    enableProtection: false,
    enableTelemetry: false,
  });
  // The library copies values from Redis into its result without checking them.
  const resultSchema = z.object({
    success: z.boolean(),
    limit: z.literal(capacity),
    remaining: z.number().int().min(0),
    reset: z.number().int().positive(),
    reason: z.undefined().optional(),
  });

  async function take(key: string, amount: number): Promise<TakeResult> {
    const result = resultSchema.parse(await ratelimit.limit(key, { rate: amount }));
    return { taken: result.success, remaining: result.remaining, resetAt: result.reset };
  }

  return {
    take,
    async adjust(key, amount) {
      const { taken } = await take(key, amount);
      if (taken) return;
      // The script cannot go below 0: empty the bucket; the rest of the amount is not charged.
      const { remaining } = remainingSchema.parse(await ratelimit.getRemaining(key));
      const available = Math.min(amount, remaining);
      if (available > 0) await take(key, available);
    },
  };
}
