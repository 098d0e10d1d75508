import { LRUCache } from 'lru-cache';
import type { Clock } from '../clock.ts';
import { type CacheEntry, isFresh, type CacheStore } from './cache-store.ts';

interface MemoryStoreOptions {
  readonly maxEntries: number;
  /** Of all entries together. */
  readonly maxBytes: number;
  /** Larger entries are not stored: each would evict too many others. */
  readonly maxEntryBytes: number;
  readonly ttlMs: number;
  readonly clock: Clock;
}

export interface MemoryStore extends CacheStore {
  size(): { readonly entries: number; readonly bytes: number };
}

/** Approximate size of the map nodes, times and counters of one entry. */
const ENTRY_OVERHEAD_BYTES = 400;
/** V8 uses two bytes per character for strings with any character above Latin-1. */
const BYTES_PER_CHAR = 2;

/** Stores responses in this process and evicts the least recently used, by count and by size. */
export function createMemoryStore(options: MemoryStoreOptions): MemoryStore {
  const { maxEntries, maxBytes, ttlMs, clock } = options;
  const entries = new LRUCache<string, CacheEntry>({
    max: maxEntries,
    maxSize: maxBytes,
    maxEntrySize: Math.min(options.maxEntryBytes, maxBytes),
    sizeCalculation: ({ response }, key) =>
      ENTRY_OVERHEAD_BYTES +
      BYTES_PER_CHAR * (key.length + response.text.length + response.model.length),
  });
  return {
    async get(key) {
      const entry = entries.get(key);
      if (entry === undefined) return undefined;
      // Checked here because the library would count from the time of the copy, not of the entry.
      if (isFresh(entry, { now: clock.now(), ttlMs })) return entry;
      entries.delete(key);
      return undefined;
    },
    async set(key, entry) {
      entries.set(key, entry);
      return entries.peek(key) === entry;
    },
    size: () => ({ entries: entries.size, bytes: entries.calculatedSize }),
  };
}
