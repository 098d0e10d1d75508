import type { ResponseCache } from './response-cache.part.ts';

export interface TieredCacheOptions {
  /** Asked first; what the far one knows is kept here too. */
  readonly near: ResponseCache;
  readonly far: ResponseCache;
  /** Writes to the far one that may be under way at once; what comes on top is not written there. */
  readonly maxPendingWrites: number;
}

export interface TieredCache extends ResponseCache {
  /** Resolves when what was handed over is written, or has failed. */
  flush(): Promise<void>;
}

/** Two caches as one. Writing to the far one never keeps an answer waiting. */
export function createTieredCache(options: TieredCacheOptions): TieredCache {
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
