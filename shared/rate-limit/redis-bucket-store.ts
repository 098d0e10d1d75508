import { hash } from 'node:crypto';
import { Ratelimit, type RatelimitConfig } from '@upstash/ratelimit';
import * as z from 'zod';
import type { Clock } from '../clock.ts';
import type { BucketShape, BucketStore, TakeResult } from './rate-limiter.ts';

/** The commands that the library and the script need; the library's type lacks `eval`. */
type ScriptingRedis = RatelimitConfig['redis'] & {
  eval(script: string, keys: string[], args: (string | number)[]): Promise<unknown>;
};

interface RedisBucketsOptions extends BucketShape {
  readonly redis: ScriptingRedis;
  /** Prepended to every key. */
  readonly prefix: string;
  readonly clock: Clock;
}

/**
 * A token bucket by the clock of the Redis server: the clocks of the instances differ, and a date
 * in the future would refuse a caller until it has passed. A `take` gets the whole amount or
 * nothing; an `adjust` always succeeds and may leave a debt. Returns whether the amount was taken,
 * the tokens left, the milliseconds until the reset, and the capacity for verification. Numbers
 * are stored as text, because Lua would write large ones with six digits.
 */
const TOKEN_BUCKET = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local capacity, interval = tonumber(ARGV[1]), tonumber(ARGV[2])
local amount, mode = tonumber(ARGV[3]), ARGV[4]
local stored = redis.call('HMGET', KEYS[1], 'refilledAt', 'tokens')
local refilledAt = math.min(tonumber(stored[1]) or now, now)
local tokens = tonumber(stored[2]) or capacity
local refills = math.floor((now - refilledAt) / interval)
if refills > 0 then
  tokens = math.min(capacity, tokens + refills * capacity)
  refilledAt = refilledAt + refills * interval
end
local taken = mode == 'adjust' or amount <= 0 or tokens >= amount
if taken then
  tokens = math.min(capacity, tokens - amount)
  local untilFull = math.max(1, math.ceil((capacity - tokens) / capacity)) * interval
  redis.call('HSET', KEYS[1], 'refilledAt', string.format('%.0f', refilledAt))
  redis.call('HSET', KEYS[1], 'tokens', string.format('%.0f', tokens))
  redis.call('PEXPIRE', KEYS[1], string.format('%.0f', untilFull))
end
local missing = taken and 0 or amount - tokens
local waits = math.max(1, math.ceil(missing / capacity))
return { taken and 1 or 0, math.max(0, tokens), refilledAt + waits * interval - now, capacity }
`;

const TOKEN_BUCKET_SHA = hash('sha1', TOKEN_BUCKET);

type Mode = 'take' | 'adjust';

/**
 * The buckets of one policy in Redis, shared by all instances. Rejects if Redis fails or returns
 * an unexpected result; the caller limits the time.
 */
export function createRedisBuckets(options: RedisBucketsOptions): BucketStore {
  const limiters = {
    take: createLimiter(options, 'take'),
    adjust: createLimiter(options, 'adjust'),
  };
  return {
    async take(key, amount): Promise<TakeResult> {
      const { success, remaining, reset } = await limiters.take.limit(key, { rate: amount });
      return { taken: success, remaining, resetAt: reset };
    },
    async adjust(key, amount) {
      await limiters.adjust.limit(key, { rate: amount });
    },
  };
}

function createLimiter(options: RedisBucketsOptions, mode: Mode): Ratelimit {
  return new Ratelimit({
    redis: options.redis,
    limiter: serverTimeTokenBucket(options, mode),
    prefix: options.prefix,
    // The library's cache blocks small requests after a large one was refused, and has no bound.
    ephemeralCache: false,
    // The library's timeout allows every request.
    timeout: 0,
    analytics: false,
    enableProtection: false,
    enableTelemetry: false,
  });
}

/** The script as an algorithm of the library. The reset is converted to the clock of this instance. */
function serverTimeTokenBucket(
  { capacity, intervalMs, redis, clock }: RedisBucketsOptions,
  mode: Mode,
): RatelimitConfig['limiter'] {
  // The library copies values from Redis into its result without checking them.
  const resultSchema = z.tuple([
    z.union([z.literal(0), z.literal(1)]),
    z.number().int().min(0).max(capacity),
    z.number().int().min(0),
    z.literal(capacity),
  ]);
  return () => ({
    async limit(_context, key, amount = 1) {
      const call = { key, args: [capacity, intervalMs, amount, mode] };
      const [taken, remaining, resetInMs] = resultSchema.parse(await runScript(redis, call));
      return {
        success: taken === 1,
        limit: capacity,
        remaining,
        reset: clock.now() + resetInMs,
        pending: Promise.resolve(),
      };
    },
    getRemaining: notUsed,
    resetTokens: notUsed,
  });
}

interface ScriptCall {
  readonly key: string;
  readonly args: readonly (string | number)[];
}

/** Sends the hash only; the text follows if the server does not know the script yet. */
async function runScript(redis: ScriptingRedis, { key, args }: ScriptCall): Promise<unknown> {
  try {
    return await redis.evalsha(TOKEN_BUCKET_SHA, [key], [...args]);
  } catch (error) {
    if (!(error instanceof Error && error.message.includes('NOSCRIPT'))) throw error;
    return redis.eval(TOKEN_BUCKET, [key], [...args]);
  }
}

function notUsed(): Promise<never> {
  return Promise.reject(new TypeError('Cannot use this method: only limit is implemented'));
}
