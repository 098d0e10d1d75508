import { LRUCache } from 'lru-cache';
import type { Clock } from '../clock.ts';
import { type CacheEntry, isFresh, type CacheStore } from './cache-store.ts';

export interface MemoryStoreOptions {
  readonly maxEntries: number;
  /** Of all entries together. */
  readonly maxBytes: number;
  /** An answer larger than this would push out too many others. */
  readonly maxEntryBytes: number;
  readonly ttlMs: number;
  readonly clock: Clock;
}

export interface MemoryStore extends CacheStore {
  size(): { readonly entries: number; readonly bytes: number };
}

/** Map nodes, times and counts of one entry, roughly. */
const ENTRY_OVERHEAD_BYTES = 400;
/** V8 keeps text with any character above Latin-1 in two bytes for each. */
const BYTES_PER_CHAR = 2;

/** Answers in this process: the least recently used go first, by number and by size. */
export function createMemoryStore(options: MemoryStoreOptions): MemoryStore {
  const { maxEntries, maxBytes, ttlMs, clock } = options;
  const entries = new LRUCache<string, CacheEntry>({
    max: maxEntries,
    maxSize: maxBytes,
    maxEntrySize: Math.min(options.maxEntryBytes, maxBytes),
    sizeCalculation: ({ answer }, key) =>
      ENTRY_OVERHEAD_BYTES +
      BYTES_PER_CHAR * (key.length + answer.text.length + answer.model.length),
  });
  return {
    async get(key) {
      const entry = entries.get(key);
      if (entry === undefined) return undefined;
      // Times are checked here and not by the library: they are those of the entry, not of its copy.
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
