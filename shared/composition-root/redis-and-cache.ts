import { createTieredCacheStore } from '../cache/cache-store.ts';
import { createMemoryStore } from '../cache/memory-store.ts';
import { createRedisStore, type TextStore } from '../cache/redis-store.ts';
import { type ResponseCache, createResponseCache } from '../cache/response-cache.ts';
import type { Clock } from '../clock.ts';
import type { Settings } from '../config/read-config.ts';
import { VARIABLES } from '../config/variables.ts';
import { ServiceError } from '../errors.ts';
import type { SharedBuckets } from '../rate-limit/create-rate-limiter.ts';
import { createRedisCircuit, REDIS_CIRCUIT_DEFAULTS } from '../redis/redis-circuit.ts';
import type { Secrets } from '../secrets/secrets.ts';
import type { Telemetry } from '../telemetry/telemetry.ts';

export interface RedisDependencies {
  readonly settings: Settings;
  readonly secrets: Secrets;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
}

/** What all instances share: the buckets of the limits, and the texts of the cache. */
export interface SharedRedis extends SharedBuckets {
  readonly texts: TextStore;
}

/** The Redis that the settings name. Its token is asked for with each call, so that it can change. */
export async function createSharedRedis(
  parts: RedisDependencies,
): Promise<SharedRedis | undefined> {
  const { settings, secrets, clock, telemetry } = parts;
  const { upstashRedisUrl: url } = settings;
  if (url === undefined) return undefined;
  const [{ createRedisClient }, { createRedisBuckets }] = await Promise.all([
    import('../redis/redis-client.ts'),
    import('../rate-limit/redis-bucket-store.ts'),
  ]);
  const { timeoutMs } = settings.redis;
  const client = latest(
    () => currentToken(secrets),
    (token) => createRedisClient({ url, token, timeoutMs }),
  );
  const guard = createRedisCircuit({
    ...REDIS_CIRCUIT_DEFAULTS,
    budgetMs: timeoutMs,
    ping: async () => client().ping(),
    clock,
    telemetry,
  });
  // A connection that is there when the first request comes saves it the handshake.
  void Promise.resolve()
    .then(() => client().ping())
    .catch(() => undefined);
  return {
    guard: (work) => guard.run(work),
    state: () => guard.state(),
    texts: {
      get: async (key) => client().get(key),
      set: async (key, value, options) => client().set(key, value, options),
    },
    bucketsOf(policy) {
      const buckets = latest(client, (redis) =>
        createRedisBuckets({ ...policy, redis, prefix: 'limits' }),
      );
      return {
        take: async (key, amount) => buckets().take(key, amount),
        correct: async (key, amount) => buckets().correct(key, amount),
      };
    },
  };
}

/** What was made of the latest key, made again only when the key is another one. */
function latest<Key, Made>(keyOf: () => Key, make: (key: Key) => Made): () => Made {
  let known: { readonly key: Key; readonly made: Made } | undefined;
  return () => {
    const key = keyOf();
    if (known === undefined || known.key !== key) known = { key, made: make(key) };
    return known.made;
  };
}

function currentToken(secrets: Secrets): string {
  const { name, vaultName } = VARIABLES.upstashRedisToken;
  const token = secrets.get(vaultName);
  if (token !== undefined) return token;
  throw new ServiceError('config_unavailable', `Cannot ask Redis: ${name} is not set`);
}

export interface CacheDependencies {
  readonly settings: Settings;
  readonly redis: SharedRedis | undefined;
  readonly clock: Clock;
}

export interface ConfiguredCache {
  readonly answers: ResponseCache;
  /** Resolves when what was to be written to Redis is written, or has failed. */
  flush(): Promise<void>;
}

/** A long answer in any script; what is longer is asked for again. */
const MAX_ENTRY_BYTES = 65_536;
/** Writes to Redis under way at once; those on top stay in the process. */
const MAX_PENDING_WRITES = 100;

/** The cache as the settings say, or undefined where it is turned off. */
export function createConfiguredCache({
  settings,
  redis,
  clock,
}: CacheDependencies): ConfiguredCache | undefined {
  const { ttlSeconds, maxEntries, maxBytes } = settings.cache;
  if (ttlSeconds === 0) return undefined;
  const common = { ttlMs: ttlSeconds * 1_000, maxEntryBytes: MAX_ENTRY_BYTES, clock };
  const near = createMemoryStore({ ...common, maxEntries, maxBytes });
  if (redis === undefined) {
    return {
      answers: createResponseCache({ ...common, cache: near }),
      flush: async () => undefined,
    };
  }
  const far = createRedisStore({
    ...common,
    redis: redis.texts,
    guard: redis.guard,
    prefix: 'cache:',
  });
  const cache = createTieredCacheStore({ near, far, maxPendingWrites: MAX_PENDING_WRITES });
  return { answers: createResponseCache({ ...common, cache }), flush: () => cache.flush() };
}
