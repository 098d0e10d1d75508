import { Ratelimit, type RatelimitConfig } from '@upstash/ratelimit';
import * as z from 'zod';
import type { BucketShape, BucketStore, TakeResult } from './memory-bucket-store.ts';

export interface RedisBucketsOptions extends BucketShape {
  readonly redis: RatelimitConfig['redis'];
  /** Put before every key. */
  readonly prefix: string;
}

const remainingSchema = z.object({ remaining: z.number().int().min(0) });
const toEpochMs = z.number().int().positive();

/**
 * The buckets of one policy in Redis, shared by all instances. Rejects when Redis fails or answers
 * with anything but a verdict; whoever calls bounds the time.
 */
export function createRedisBuckets(options: RedisBucketsOptions): BucketStore {
  const { capacity, intervalMs, redis, prefix } = options;
  const ratelimit = new Ratelimit({
    redis,
    limiter: Ratelimit.tokenBucket(capacity, `${intervalMs} ms`, capacity),
    prefix,
    // It would turn a refused big amount into a ban on small ones, and grows without bound.
    ephemeralCache: false,
    // The library's own timeout lets everything pass.
    timeout: 0,
    analytics: false,
    enableProtection: false,
    enableTelemetry: false,
  });
  // Whatever Redis sends ends up in these fields unchecked.
  const verdictSchema = z.object({
    success: z.boolean(),
    limit: z.literal(capacity),
    remaining: z.number().int().min(0),
    reset: toEpochMs,
    reason: z.undefined().optional(),
  });

  async function take(key: string, amount: number): Promise<TakeResult> {
    const verdict = verdictSchema.parse(await ratelimit.limit(key, { rate: amount }));
    return { taken: verdict.success, remaining: verdict.remaining, resetAt: verdict.reset };
  }

  return {
    take,
    async correct(key, amount) {
      const { taken } = await take(key, amount);
      if (taken) return;
      // Redis keeps no debts: what is left of the bucket goes, the rest stays unpaid there.
      const { remaining } = remainingSchema.parse(await ratelimit.getRemaining(key));
      const rest = Math.min(amount, remaining);
      if (rest > 0) await take(key, rest);
    },
  };
}
