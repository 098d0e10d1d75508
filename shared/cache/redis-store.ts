import * as z from 'zod';
import type { Clock } from '../clock.ts';
import { isFresh, type CacheStore, storedResponseSchema } from './cache-store.ts';
import { parseJson } from '../json.ts';

/** The two Redis commands that the cache needs. */
export interface TextStore {
  get(key: string): Promise<unknown>;
  set(key: string, value: string, options: { readonly px: number }): Promise<unknown>;
}

interface RedisStoreOptions {
  readonly redis: TextStore;
  /** Runs a command within its time limit; rejects at once while Redis is unavailable. */
  readonly execute: <T>(command: () => Promise<T>) => Promise<T>;
  /** Prepended to every key. */
  readonly prefix: string;
  /** Larger entries are neither written nor read. */
  readonly maxEntryBytes: number;
  readonly ttlMs: number;
  /** Encrypts the entries; a key is the context of its entry. */
  readonly encryption?: Encryption | undefined;
  readonly clock: Clock;
}

interface Encryption {
  seal(text: string, context: string): string;
  open(stored: string, context: string): string;
}

const PLAIN: Encryption = { seal: (text) => text, open: (stored) => stored };
/** Base64 makes a text a third longer. */
const MAX_GROWTH = 1.5;

const epochMs = z.number().int().positive();

/** The value repeats its key, so a value that was written under a wrong key is a miss. */
const recordSchema = z.strictObject({
  key: z.string(),
  storedAt: epochMs,
  expiresAt: epochMs,
  response: storedResponseSchema,
});

/** Stores responses for all instances. Values are validated; an invalid value is a miss. */
export function createRedisStore(options: RedisStoreOptions): CacheStore {
  const { redis, execute, prefix, maxEntryBytes, ttlMs, clock, encryption = PLAIN } = options;
  /** Undefined for a text that cannot be decrypted: a miss. */
  function open(stored: string, key: string): unknown {
    try {
      return parseJson(encryption.open(stored, prefix + key));
    } catch {
      return undefined;
    }
  }
  return {
    async get(key) {
      const value = await execute(() => redis.get(prefix + key)).catch(() => undefined);
      if (typeof value !== 'string' || value.length > maxEntryBytes * MAX_GROWTH) return undefined;
      const record = recordSchema.safeParse(open(value, key));
      if (!record.success || record.data.key !== key) return undefined;
      const { key: _key, ...entry } = record.data;
      return isFresh(entry, { now: clock.now(), ttlMs }) ? entry : undefined;
    },
    async set(key, entry) {
      const value = JSON.stringify({ key, ...entry });
      const remainingMs = Math.ceil(entry.expiresAt - clock.now());
      if (Buffer.byteLength(value) > maxEntryBytes || remainingMs <= 0) return false;
      try {
        const sealed = encryption.seal(value, prefix + key);
        await execute(() => redis.set(prefix + key, sealed, { px: remainingMs }));
        return true;
      } catch {
        return false;
      }
    },
  };
}
