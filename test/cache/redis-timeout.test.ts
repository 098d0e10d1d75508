import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createResponseCache } from '../../shared/cache/response-cache.ts';
import { createMemoryStore, createTieredCacheStore } from '../../shared/cache/cache-store.ts';
import { createRedisStore } from '../../shared/cache/redis-store.ts';
import { createRedisClient } from '../../shared/redis/redis-client.ts';
import { answer, ask, candidate } from '../support/cached-answers.ts';
import {
  countAllowed,
  createHandClock,
  createLimiter,
  createRedisParts,
} from '../support/limits.ts';
import { startRedisEnvironment, type RedisEnvironment } from '../../dev/redis/redis-environment.ts';
import { requireTool } from '../support/required-tools.ts';

const TTL_MS = 300_000;

describe('one instance with limits and cache on one Redis', requireTool('redis-server'), () => {
  let environment: RedisEnvironment;
  beforeEach(async () => {
    environment = await startRedisEnvironment();
  });
  afterEach(() => environment.close());

  function createInstance() {
    const clock = createHandClock(Date.now());
    const { url, token } = environment.bridge;
    const { circuit, shared } = createRedisParts({ url, token, clock, timeoutMs: 1_000 });
    const size = { maxEntryBytes: 10_000, ttlMs: TTL_MS, clock };
    const near = createMemoryStore({ ...size, maxEntries: 100, maxBytes: 1_000_000 });
    const far = createRedisStore({
      ...size,
      redis: createRedisClient({ url, token, timeoutMs: 1_000 }),
      execute: (work) => circuit.execute(work),
      prefix: 'answers:',
    });
    const cache = createResponseCache({
      store: createTieredCacheStore({ local: near, remote: far, maxPendingWrites: 10 }),
      ttlMs: TTL_MS,
      clock,
    });
    const limiter = createLimiter({ settings: { requestsPerMinute: 60 }, shared, clock });
    /** A chat: the limit first, then the cache, then the model. */
    return async (question: string) => {
      const verdict = await limiter.reserve({ callerId: 'caller', tokens: 0 });
      if (!verdict.allowed) return verdict;
      await answer(cache, { question: ask({ question }), make: async () => candidate() });
      await verdict.reservation.settle(15);
      return verdict;
    };
  }

  it('R2 waits once for a Redis that does not answer, for limits and cache together', async () => {
    const chat = createInstance();
    environment.bridge.inject({ kind: 'hang' });

    await chat('first');
    await chat('second');

    expect(environment.bridge.requests()).toBe(1);
  });

  it('R1 serves every chat within the limit while Redis is killed under load', async () => {
    const chat = createInstance();
    const all = Array.from({ length: 200 }, async (_, index) => {
      if (index === 20) await environment.killRedis();
      return chat(`question ${index % 30}`);
    });

    const verdicts = await Promise.all(all);

    expect(countAllowed(verdicts)).toBe(60);
  });
});
