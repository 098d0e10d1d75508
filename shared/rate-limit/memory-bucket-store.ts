import { LRUCache } from 'lru-cache';
import type { Clock } from '../clock.ts';
import type { BucketShape, Taken } from './bucket-store.ts';

/** Token buckets in this process, by the same arithmetic as the script that runs in Redis. */
export interface TokenBuckets {
  /** Takes the amount or nothing; an amount below 0 gives back. */
  take(key: string, amount: number): Taken;
  /** Takes what was used already, even into debt. */
  charge(key: string, amount: number): void;
  look(key: string): Taken;
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

  function outcome(bucket: Bucket, { taken, amount }: { taken: boolean; amount: number }): Taken {
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
