import * as z from 'zod';
import type { Clock } from '../clock.ts';
import { isFresh, type CacheStore, storedResponseSchema } from './cache-store.ts';
import { parseJson } from '../json.ts';

/** The two commands that the cache needs. */
export interface TextStore {
  get(key: string): Promise<unknown>;
  set(key: string, value: string, options: { readonly px: number }): Promise<unknown>;
}

export interface RedisStoreOptions {
  readonly redis: TextStore;
  /** Bounds the time of a call, and rejects at once while Redis is known to be away. */
  readonly guard: <T>(work: () => Promise<T>) => Promise<T>;
  /** Put before every key. */
  readonly prefix: string;
  /** Larger entries are neither written nor read. */
  readonly maxEntryBytes: number;
  readonly ttlMs: number;
  readonly clock: Clock;
}

const time = z.number().int().positive();

/** The key stands in the value too: an answer that ended up under another key is nobody's. */
const recordSchema = z.strictObject({
  key: z.string(),
  storedAt: time,
  expiresAt: time,
  answer: storedResponseSchema,
});

/** Answers that all instances share. Redis is not trusted: what cannot be read is a miss. */
export function createRedisStore(options: RedisStoreOptions): CacheStore {
  const { redis, guard, prefix, maxEntryBytes, ttlMs, clock } = options;
  return {
    async get(key) {
      const value = await guard(() => redis.get(prefix + key)).catch(() => undefined);
      if (typeof value !== 'string' || value.length > maxEntryBytes) return undefined;
      const record = recordSchema.safeParse(parseJson(value));
      if (!record.success || record.data.key !== key) return undefined;
      const { key: _key, ...entry } = record.data;
      return isFresh(entry, { now: clock.now(), ttlMs }) ? entry : undefined;
    },
    async set(key, entry) {
      const value = JSON.stringify({ key, ...entry });
      const remainingMs = Math.ceil(entry.expiresAt - clock.now());
      if (Buffer.byteLength(value) > maxEntryBytes || remainingMs <= 0) return false;
      const write = async (): Promise<boolean> => {
        await redis.set(prefix + key, value, { px: remainingMs });
        return true;
      };
      return guard(write).catch(() => false);
    },
  };
}
