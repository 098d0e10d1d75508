import { Ratelimit, type RatelimitConfig } from '@upstash/ratelimit';
import { LRUCache } from 'lru-cache';
import type { Clock } from '../clock.ts';

/** Token buckets in this process, by the same arithmetic as the script that runs in Redis. */
export interface TokenBuckets {
  /** Takes the amount or nothing; an amount below 0 gives back. */
  take(key: string, amount: number): TakeResult;
  /** Takes what was used already, even into debt. */
  charge(key: string, amount: number): void;
  look(key: string): TakeResult;
  forget(key: string): void;
  size(): number;
}

export interface TokenBucketsOptions extends BucketShape {
  /** The least recently used bucket goes first; whoever comes back finds a full one. */
  readonly maxKeys: number;
  readonly clock: Clock;
}

interface Bucket {
  readonly refilledAt: number;
  /** Below 0 where more was used than had been estimated. */
  readonly tokens: number;
  /** From here on the bucket is full in any case, and need not be remembered. */
  readonly forgetAt: number;
}

export function createTokenBuckets(options: TokenBucketsOptions): TokenBuckets {
  const { capacity, intervalMs, maxKeys, clock } = options;
  const buckets = new LRUCache<string, Bucket>({ max: maxKeys });

  function read(key: string, now: number): Bucket {
    const found = buckets.get(key);
    if (found === undefined || now >= found.forgetAt) {
      return { refilledAt: now, tokens: capacity, forgetAt: now };
    }
    // A clock that was set back would otherwise stop the refill until it has caught up.
    if (now < found.refilledAt) return { ...found, refilledAt: now };
    const refills = Math.floor((now - found.refilledAt) / intervalMs);
    if (refills === 0) return found;
    const tokens = Math.min(capacity, found.tokens + refills * capacity);
    return { ...found, refilledAt: found.refilledAt + refills * intervalMs, tokens };
  }

  function write(key: string, bucket: Omit<Bucket, 'forgetAt'>): Bucket {
    const refills = Math.max(1, Math.ceil((capacity - bucket.tokens) / capacity));
    const kept = { ...bucket, forgetAt: clock.now() + refills * intervalMs };
    buckets.set(key, kept);
    return kept;
  }

  function outcome(
    bucket: Bucket,
    { taken, amount }: { taken: boolean; amount: number },
  ): TakeResult {
    const missing = taken ? 0 : amount - bucket.tokens;
    const refills = Math.max(1, Math.ceil(missing / capacity));
    return {
      taken,
      remaining: Math.max(0, bucket.tokens),
      resetAt: bucket.refilledAt + refills * intervalMs,
    };
  }

  return {
    take(key, amount) {
      const bucket = read(key, clock.now());
      const taken = amount <= 0 || bucket.tokens >= amount;
      const tokens = taken ? Math.min(capacity, bucket.tokens - amount) : bucket.tokens;
      const kept = write(key, { refilledAt: bucket.refilledAt, tokens });
      return outcome(kept, { taken, amount });
    },
    charge(key, amount) {
      const { refilledAt, tokens } = read(key, clock.now());
      write(key, { refilledAt, tokens: tokens - amount });
    },
    look: (key) => outcome(read(key, clock.now()), { taken: true, amount: 0 }),
    forget: (key) => void buckets.delete(key),
    size: () => buckets.size,
  };
}

export interface MemoryBucketsOptions extends BucketShape {
  readonly maxKeys: number;
  readonly clock: Clock;
}

/** The library puts it before each key. */
const PREFIX = 'local';

/** The buckets of one policy in this process: exact, gone with the process, bounded in number. */
export function createMemoryBuckets(options: MemoryBucketsOptions): BucketStore {
  const buckets = createTokenBuckets(options);
  const ratelimit = new Ratelimit({
    redis: unusedRedis(),
    limiter: memoryTokenBucket(buckets, options.capacity),
    prefix: PREFIX,
    ephemeralCache: false,
    timeout: 0,
    enableTelemetry: false,
  });
  return {
    async take(key, amount) {
      const { success, remaining, reset } = await ratelimit.limit(key, { rate: amount });
      return { taken: success, remaining, resetAt: reset };
    },
    async correct(key, amount) {
      if (amount > 0) buckets.charge(`${PREFIX}:${key}`, amount);
      else await ratelimit.limit(key, { rate: amount });
    },
  };
}

/** The algorithm above never looks at it, but the class insists on one. */
function unusedRedis(): RatelimitConfig['redis'] {
  return {} as RatelimitConfig['redis'];
}

type MemoryAlgorithm = RatelimitConfig['limiter'];
type LimiterResponse = Awaited<ReturnType<Ratelimit['limit']>>;

/** Buckets in this process as an algorithm of the same class that limits in Redis. */
export function memoryTokenBucket(buckets: TokenBuckets, capacity: number): MemoryAlgorithm {
  return () => ({
    limit: async (_context, key, amount = 1) =>
      toLimiterResponse(buckets.take(key, amount), capacity),
    async getRemaining(_context, key) {
      const { remaining, resetAt } = buckets.look(key);
      return { remaining, reset: resetAt, limit: capacity };
    },
    resetTokens: async (_context, key) => buckets.forget(key),
  });
}

function toLimiterResponse(
  { taken, remaining, resetAt }: TakeResult,
  capacity: number,
): LimiterResponse {
  return {
    success: taken,
    limit: capacity,
    remaining,
    reset: resetAt,
    pending: Promise.resolve(),
  };
}

/** What one attempt to take tokens out of a bucket found. */
export interface TakeResult {
  readonly taken: boolean;
  /** What is left, never below 0. */
  readonly remaining: number;
  /** When the bucket is filled up so far that the same attempt can succeed, in epoch milliseconds. */
  readonly resetAt: number;
}

/** Buckets of one policy: each key has its own, full at first. */
export interface BucketStore {
  /** Takes the whole amount or nothing. */
  take(key: string, amount: number): Promise<TakeResult>;
  /** Corrects an amount that was taken: below 0 gives back, above 0 takes what was used on top. */
  correct(key: string, amount: number): Promise<void>;
}

/** How the buckets of one policy fill. */
export interface BucketShape {
  /** Tokens in a full bucket, and those that come back at once when an interval is over. */
  readonly capacity: number;
  readonly intervalMs: number;
}
