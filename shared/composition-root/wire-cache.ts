import { createAnswerCache, type AnswerCache } from '../cache/response-cache.ts';
import { createMemoryCache } from '../cache/memory-store.ts';
import { createRedisCache } from '../cache/redis-store.ts';
import { createTieredCache } from '../cache/cache-store.ts';
import type { Clock } from '../clock.ts';
import type { Settings } from '../config/read-config.ts';
import type { WiredRedis } from './redis-and-cache.ts';

export interface CacheParts {
  readonly settings: Settings;
  readonly redis: WiredRedis | undefined;
  readonly clock: Clock;
}

export interface WiredCache {
  readonly answers: AnswerCache;
  /** Resolves when what was to be written to Redis is written, or has failed. */
  flush(): Promise<void>;
}

/** A long answer in any script; what is longer is asked for again. */
const MAX_ENTRY_BYTES = 65_536;
/** Writes to Redis under way at once; those on top stay in the process. */
const MAX_PENDING_WRITES = 100;

/** The cache as the settings say, or undefined where it is turned off. */
export function wireCache({ settings, redis, clock }: CacheParts): WiredCache | undefined {
  const { ttlSeconds, maxEntries, maxBytes } = settings.cache;
  if (ttlSeconds === 0) return undefined;
  const common = { ttlMs: ttlSeconds * 1_000, maxEntryBytes: MAX_ENTRY_BYTES, clock };
  const near = createMemoryCache({ ...common, maxEntries, maxBytes });
  if (redis === undefined) {
    return { answers: createAnswerCache({ ...common, cache: near }), flush: async () => undefined };
  }
  const far = createRedisCache({
    ...common,
    redis: redis.texts,
    guard: redis.guard,
    prefix: 'cache:',
  });
  const cache = createTieredCache({ near, far, maxPendingWrites: MAX_PENDING_WRITES });
  return { answers: createAnswerCache({ ...common, cache }), flush: () => cache.flush() };
}
