import type { Clock } from '../../shared/clock.ts';
import {
  createRateLimiter,
  type SharedBuckets,
} from '../../shared/rate-limit/create-rate-limiter.ts';
import {
  createMemoryBuckets,
  policiesOf,
  type LimitMode,
  type LimitSettings,
  type RateLimitResult,
  type RateLimiter,
} from '../../shared/rate-limit/rate-limiter.ts';
import { createRedisBuckets } from '../../shared/rate-limit/redis-bucket-store.ts';
import {
  REDIS_CIRCUIT_DEFAULTS,
  createRedisCircuit,
  type RedisCircuit,
} from '../../shared/redis/redis-circuit.ts';
import { createRedisClient } from '../../shared/redis/redis-client.ts';
import { createRecordedTelemetry, type RecordedTelemetry } from './recorded-telemetry.ts';

export interface LimiterUnderTest extends RateLimiter {
  readonly telemetry: RecordedTelemetry;
}

export interface LimiterOptions {
  readonly settings: Partial<LimitSettings>;
  readonly mode?: LimitMode;
  readonly clock?: Clock;
  readonly shared?: SharedBuckets;
  readonly telemetry?: RecordedTelemetry;
}

/** A clock that only moves when the test moves it. */
export interface HandClock extends Clock {
  advance(ms: number): void;
}

/** Noon, UTC: far from any midnight. */
const NOON = Date.UTC(2026, 0, 15, 12);

export function createHandClock(start = NOON): HandClock {
  let now = start;
  return {
    now: () => now,
    advance(ms) {
      now += ms;
    },
  };
}

/** One instance. Limits that are not named are off. */
export function createLimiter(options: LimiterOptions): LimiterUnderTest {
  const { clock = createHandClock(), telemetry = createRecordedTelemetry() } = options;
  const off = { requestsPerMinute: 0, tokensPerMinute: 0, tokensPerDay: 0 };
  const limiter = createRateLimiter({
    policies: policiesOf({ ...off, ...options.settings }),
    mode: options.mode ?? 'enforce',
    localBucketsOf: (policy) => createMemoryBuckets({ ...policy, maxKeys: 1_000, clock }),
    shared: options.shared,
    clock,
    telemetry,
  });
  return { ...limiter, telemetry };
}

export interface RedisParts {
  readonly circuit: RedisCircuit;
  readonly telemetry: RecordedTelemetry;
  readonly shared: SharedBuckets;
}

export interface RedisPartsOptions {
  readonly url: string;
  readonly token: string;
  readonly clock: Clock;
  /** Longer than in production by default, as machines that test are slow. */
  readonly timeoutMs?: number;
}

/** The way of one instance to its Redis. */
export function createRedisParts(options: RedisPartsOptions): RedisParts {
  const { clock, timeoutMs = 5_000 } = options;
  const telemetry = createRecordedTelemetry();
  const redis = createRedisClient({ ...options, timeoutMs: timeoutMs });
  const circuit = createRedisCircuit({
    ...REDIS_CIRCUIT_DEFAULTS,
    ping: () => redis.ping(),
    timeoutMs,
    clock,
    telemetry,
  });
  const shared: SharedBuckets = {
    bucketsOf: (policy) => createRedisBuckets({ ...policy, redis, prefix: 'limits', clock }),
    execute: (work) => circuit.execute(work),
    state: () => circuit.state(),
  };
  return { circuit, telemetry, shared };
}

/** So many reservations at once by one caller. */
export function reserveAtOnce(
  limiter: RateLimiter,
  { times, callerId, tokens }: { times: number; callerId: string; tokens: number },
): Promise<RateLimitResult[]> {
  return Promise.all(Array.from({ length: times }, () => limiter.reserve({ callerId, tokens })));
}

export function countAllowed(verdicts: readonly RateLimitResult[]): number {
  return verdicts.filter(({ allowed }) => allowed).length;
}
