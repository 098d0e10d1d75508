import * as z from 'zod';

const count = z.number().int().min(0);

/** An answer as it is kept: complete, and the same for whoever asks the same again. */
export const storedResponseSchema = z.strictObject({
  text: z.string(),
  model: z.string(),
  usage: z.strictObject({ inputTokens: count, outputTokens: count, totalTokens: count }),
});

export type StoredResponse = Readonly<z.infer<typeof storedResponseSchema>>;

/** An answer with its times, in milliseconds since the epoch. */
export interface CacheEntry {
  readonly answer: StoredResponse;
  readonly storedAt: number;
  readonly expiresAt: number;
}

/** Keeps answers for a while. What it cannot read or keep is a miss, never a failure. */
export interface CacheStore {
  get(key: string): Promise<CacheEntry | undefined>;
  /** False where the entry was not kept, such as for its size. */
  set(key: string, entry: CacheEntry): Promise<boolean>;
}

/**
 * Whether an entry may be given out at a time. One that claims more life than any entry gets was
 * written by a clock that is not ours, or not by us.
 */
export function isFresh(
  entry: CacheEntry,
  { now, ttlMs }: { now: number; ttlMs: number },
): boolean {
  const remainingMs = entry.expiresAt - now;
  return remainingMs > 0 && remainingMs <= ttlMs;
}

export interface TieredCacheStoreOptions {
  /** Asked first; what the far one knows is kept here too. */
  readonly near: CacheStore;
  readonly far: CacheStore;
  /** Writes to the far one that may be under way at once; what comes on top is not written there. */
  readonly maxPendingWrites: number;
}

export interface TieredCacheStore extends CacheStore {
  /** Resolves when what was handed over is written, or has failed. */
  flush(): Promise<void>;
}

/** Two caches as one. Writing to the far one never keeps an answer waiting. */
export function createTieredCacheStore(options: TieredCacheStoreOptions): TieredCacheStore {
  const { near, far, maxPendingWrites } = options;
  const pending = new Set<Promise<boolean>>();
  return {
    async get(key) {
      const found = await near.get(key);
      if (found !== undefined) return found;
      const entry = await far.get(key);
      if (entry !== undefined) await near.set(key, entry);
      return entry;
    },
    async set(key, entry) {
      if (pending.size < maxPendingWrites) {
        const write = far.set(key, entry);
        pending.add(write);
        void write.finally(() => pending.delete(write)).catch(() => undefined);
      }
      return near.set(key, entry);
    },
    async flush() {
      await Promise.allSettled(pending);
    },
  };
}
