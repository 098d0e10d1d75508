import { LRUCache } from 'lru-cache';
import { hash } from 'node:crypto';
import * as z from 'zod';
import type { Clock } from '../clock.ts';

/** Everything that a response depends on. A missing part would serve wrong responses. */
export interface CacheKeyInput {
  /** Scope of the response: callers never share entries. */
  readonly callerId: string;
  /** Endpoints and models, as configured. */
  readonly model: string;
  /** All other model parameters: temperature, output bound, response format, seed. */
  readonly parameters: Readonly<Record<string, unknown>>;
  /** Changes with every change of instructions, guardrails or post-processing. */
  readonly promptVersion: string;
  readonly tools: readonly unknown[];
  /** The whole conversation, including the instructions. */
  readonly messages: readonly unknown[];
}

/** Increased with every change to the shape of keys or entries, so that old entries are ignored. */
const FORMAT = 2;

/** SHA-256 over canonical JSON: field boundaries cannot be forged and keys reveal no content. */
export function cacheKey(parts: CacheKeyInput): string {
  const { callerId, model, parameters, promptVersion, tools, messages } = parts;
  const text = canonicalJson({
    format: FORMAT,
    callerId,
    model,
    parameters,
    promptVersion,
    tools,
    messages,
  });
  return hash('sha256', text, 'base64url');
}

/**
 * Serialises equal values to equal text regardless of field order: sorted keys, no white space,
 * undefined fields omitted. Different values never produce the same text.
 * @throws TypeError for values that JSON cannot represent exactly
 */
export function canonicalJson(value: unknown): string {
  if (value === null || typeof value === 'boolean' || typeof value === 'string') {
    return JSON.stringify(value);
  }
  if (typeof value === 'number' && Number.isFinite(value)) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (isPlainObject(value)) {
    const fields = Object.entries(value)
      .filter(([, field]) => field !== undefined)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, field]) => `${JSON.stringify(name)}:${canonicalJson(field)}`);
    return `{${fields.join(',')}}`;
  }
  throw new TypeError(
    `Cannot write canonical JSON as every value must be plain: current type is ${typeof value}`,
  );
}

function isPlainObject(value: unknown): value is object {
  if (typeof value !== 'object' || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

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
