import * as z from 'zod';

const count = z.number().int().min(0);

/** A complete response as it is stored. */
export const storedResponseSchema = z.strictObject({
  text: z.string(),
  model: z.string(),
  usage: z.strictObject({ inputTokens: count, outputTokens: count, totalTokens: count }),
});

export type StoredResponse = Readonly<z.infer<typeof storedResponseSchema>>;

/** A stored response with its times, in milliseconds since the epoch. */
export interface CacheEntry {
  readonly response: StoredResponse;
  readonly storedAt: number;
  readonly expiresAt: number;
}

/** Storage for cache entries. An entry that cannot be read or stored is a miss, never a failure. */
export interface CacheStore {
  get(key: string): Promise<CacheEntry | undefined>;
  /** Resolves to false if the entry was not stored, for example because it is too large. */
  set(key: string, entry: CacheEntry): Promise<boolean>;
}

/**
 * Whether an entry may be served at the given time. Rejects an entry that expires later than any
 * entry may: another clock or another program wrote it.
 */
export function isFresh(
  entry: CacheEntry,
  { now, ttlMs }: { now: number; ttlMs: number },
): boolean {
  const remainingMs = entry.expiresAt - now;
  return remainingMs > 0 && remainingMs <= ttlMs;
}

interface TieredCacheStoreOptions {
  /** Read first; entries found in the remote store are copied here. */
  readonly local: CacheStore;
  readonly remote: CacheStore;
  /** Concurrent writes to the remote store; further entries are stored locally only. */
  readonly maxPendingWrites: number;
}

export interface TieredCacheStore extends CacheStore {
  /** Resolves when all pending remote writes have ended, successfully or not. */
  flush(): Promise<void>;
}

/** Combines two stores. Remote writes run in the background and never delay a response. */
export function createTieredCacheStore(options: TieredCacheStoreOptions): TieredCacheStore {
  const { local, remote, maxPendingWrites } = options;
  const pending = new Set<Promise<boolean>>();
  return {
    async get(key) {
      const localEntry = await local.get(key);
      if (localEntry !== undefined) return localEntry;
      const entry = await remote.get(key);
      if (entry !== undefined) await local.set(key, entry);
      return entry;
    },
    async set(key, entry) {
      if (pending.size < maxPendingWrites) {
        const write = remote.set(key, entry);
        pending.add(write);
        void write.finally(() => pending.delete(write)).catch(() => undefined);
      }
      return local.set(key, entry);
    },
    async flush() {
      await Promise.allSettled(pending);
    },
  };
}
