import { LRUCache } from 'lru-cache';
import type { Clock } from '../clock.ts';

/** How the buckets of one policy fill. */
export interface BucketShape {
  /** Tokens in a full bucket; also the refill at the end of each interval. */
  readonly capacity: number;
  readonly intervalMs: number;
}

/** The result of one attempt to take tokens from a bucket. */
export interface TakeResult {
  readonly taken: boolean;
  /** Tokens left, never below 0. */
  readonly remaining: number;
  /** When a refused attempt can succeed, else the next refill; in milliseconds since the epoch. */
  readonly resetAt: number;
}

/** The token buckets of one policy, one for each key, full at first. */
export interface BucketStore {
  /** Takes the whole amount or nothing. */
  take(key: string, amount: number): Promise<TakeResult>;
  /** Corrects an earlier amount: a negative amount is refunded, a positive one is charged. */
  adjust(key: string, amount: number): Promise<void>;
}

interface MemoryBucketsOptions extends BucketShape {
  /** The least recently used bucket is evicted first; its caller starts with a full one again. */
  readonly maxKeys: number;
  readonly clock: Clock;
}

interface MemoryBuckets extends BucketStore {
  /** Number of buckets in memory. */
  size(): number;
}

interface Bucket {
  readonly refilledAt: number;
  /** Negative if more was used than was reserved. */
  readonly tokens: number;
  /** The bucket is full again at this time, so it can be dropped. */
  readonly fullAt: number;
}

interface TakeAttempt {
  readonly taken: boolean;
  readonly amount: number;
}

/**
 * The buckets of one policy in this process, with the arithmetic of the Redis script. Unlike Redis
 * it records debt: usage above the reservation delays the caller's next requests.
 */
export function createMemoryBuckets(options: MemoryBucketsOptions): MemoryBuckets {
  const { capacity, intervalMs, maxKeys, clock } = options;
  const buckets = new LRUCache<string, Bucket>({ max: maxKeys });

  function read(key: string, now: number): Bucket {
    const bucket = buckets.get(key);
    if (bucket === undefined || now >= bucket.fullAt) {
      return { refilledAt: now, tokens: capacity, fullAt: now };
    }
    // After the clock was set back, refills would otherwise stop until it has caught up.
    if (now < bucket.refilledAt) return { ...bucket, refilledAt: now };
    const refills = Math.floor((now - bucket.refilledAt) / intervalMs);
    if (refills === 0) return bucket;
    const tokens = Math.min(capacity, bucket.tokens + refills * capacity);
    return { ...bucket, refilledAt: bucket.refilledAt + refills * intervalMs, tokens };
  }

  function write(key: string, bucket: Omit<Bucket, 'fullAt'>): Bucket {
    const refills = Math.max(1, Math.ceil((capacity - bucket.tokens) / capacity));
    const stored = { ...bucket, fullAt: clock.now() + refills * intervalMs };
    buckets.set(key, stored);
    return stored;
  }

  function toResult(bucket: Bucket, { taken, amount }: TakeAttempt): TakeResult {
    const missing = taken ? 0 : amount - bucket.tokens;
    const refills = Math.max(1, Math.ceil(missing / capacity));
    return {
      taken,
      remaining: Math.max(0, bucket.tokens),
      resetAt: bucket.refilledAt + refills * intervalMs,
    };
  }

  return {
    async take(key, amount) {
      const bucket = read(key, clock.now());
      const taken = amount <= 0 || bucket.tokens >= amount;
      const tokens = taken ? Math.min(capacity, bucket.tokens - amount) : bucket.tokens;
      return toResult(write(key, { refilledAt: bucket.refilledAt, tokens }), { taken, amount });
    },
    async adjust(key, amount) {
      const { refilledAt, tokens } = read(key, clock.now());
      write(key, { refilledAt, tokens: Math.min(capacity, tokens - amount) });
    },
    size: () => buckets.size,
  };
}
