import { createMemoryStore, createTieredCacheStore } from '../cache/cache-store.ts';
import { createRedisStore, type TextStore } from '../cache/redis-store.ts';
import { type ResponseCache, createResponseCache } from '../cache/response-cache.ts';
import type { Clock } from '../clock.ts';
import type { Settings } from '../config/read-config.ts';
import { VARIABLES } from '../config/variables.ts';
import { ServiceError } from '../errors.ts';
import type { SharedBuckets } from '../rate-limit/create-rate-limiter.ts';
import { createRedisCircuit, REDIS_CIRCUIT_DEFAULTS } from '../redis/redis-circuit.ts';
import type { Secrets } from '../secrets/secrets.ts';
import type { TextEncryption } from '../storage/text-encryption.ts';
import type { Telemetry } from '../telemetry/telemetry.ts';

interface RedisDependencies {
  readonly settings: Settings;
  readonly secrets: Secrets;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
}

/** What all instances share: the buckets of the limits and the entries of the cache. */
export interface SharedRedis extends SharedBuckets {
  readonly texts: TextStore;
}

/** The configured Redis, or undefined. Its token is read for each command, so it can be rotated. */
export async function createSharedRedis(
  dependencies: RedisDependencies,
): Promise<SharedRedis | undefined> {
  const { settings, secrets, clock, telemetry } = dependencies;
  const { upstashRedisUrl: url } = settings;
  if (url === undefined) return undefined;
  const [{ createRedisClient }, { createRedisBuckets }] = await Promise.all([
    import('../redis/redis-client.ts'),
    import('../rate-limit/redis-bucket-store.ts'),
  ]);
  const { timeoutMs } = settings.redis;
  const client = recreateOnChange(
    () => currentToken(secrets),
    (token) => createRedisClient({ url, token, timeoutMs }),
  );
  const circuit = createRedisCircuit({
    ...REDIS_CIRCUIT_DEFAULTS,
    timeoutMs,
    ping: async () => client().ping(),
    clock,
    telemetry,
  });
  // Opens a connection now, which saves the first request the TLS handshake.
  void Promise.resolve()
    .then(() => client().ping())
    .catch(() => undefined);
  return {
    execute: (command) => circuit.execute(command),
    state: () => circuit.state(),
    texts: {
      get: async (key) => client().get(key),
      set: async (key, value, options) => client().set(key, value, options),
    },
    bucketsOf(policy) {
      const buckets = recreateOnChange(client, (redis) =>
        createRedisBuckets({ ...policy, redis, prefix: 'limits', clock }),
      );
      return {
        take: async (key, amount) => buckets().take(key, amount),
        adjust: async (key, amount) => buckets().adjust(key, amount),
      };
    },
  };
}

/** Caches what was created for the current key and creates it again when the key changes. */
function recreateOnChange<Key, Value>(keyOf: () => Key, create: (key: Key) => Value): () => Value {
  let current: { readonly key: Key; readonly value: Value } | undefined;
  return () => {
    const key = keyOf();
    if (current === undefined || current.key !== key) current = { key, value: create(key) };
    return current.value;
  };
}

function currentToken(secrets: Secrets): string {
  const { name, vaultName } = VARIABLES.upstashRedisToken;
  const token = secrets.get(vaultName);
  if (token !== undefined) return token;
  throw new ServiceError('config_unavailable', `Cannot use Redis: ${name} is not set`);
}

interface CacheDependencies {
  readonly settings: Settings;
  readonly redis: SharedRedis | undefined;
  readonly encryption: TextEncryption;
  readonly clock: Clock;
}

export interface ConfiguredCache {
  readonly responseCache: ResponseCache;
  /** Resolves when all pending writes to Redis have ended, successfully or not. */
  flush(): Promise<void>;
}

/** Holds a long answer in any script; longer answers are not cached. */
const MAX_ENTRY_BYTES = 65_536;
/** Concurrent writes to Redis; further entries stay in the process. */
const MAX_PENDING_WRITES = 100;

/** The cache by the settings, or undefined if it is disabled. */
export function createConfiguredCache({
  settings,
  redis,
  encryption,
  clock,
}: CacheDependencies): ConfiguredCache | undefined {
  const { ttlSeconds, maxEntries, maxBytes } = settings.cache;
  if (ttlSeconds === 0) return undefined;
  const common = { ttlMs: ttlSeconds * 1_000, maxEntryBytes: MAX_ENTRY_BYTES, clock };
  const local = createMemoryStore({ ...common, maxEntries, maxBytes });
  if (redis === undefined) {
    return {
      responseCache: createResponseCache({ ...common, store: local }),
      flush: async () => undefined,
    };
  }
  const { texts, execute } = redis;
  const remote = createRedisStore({
    ...common,
    redis: texts,
    execute,
    encryption,
    prefix: 'cache:',
  });
  const store = createTieredCacheStore({ local, remote, maxPendingWrites: MAX_PENDING_WRITES });
  return { responseCache: createResponseCache({ ...common, store }), flush: () => store.flush() };
}
