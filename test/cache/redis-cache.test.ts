import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createResponseCache } from '../../shared/cache/response-cache.ts';
import {
  type CacheStore,
  createMemoryStore,
  createTieredCacheStore,
  type TieredCacheStore,
} from '../../shared/cache/cache-store.ts';
import { createRedisStore } from '../../shared/cache/redis-store.ts';
import { createRedisClient } from '../../shared/redis/redis-client.ts';
import { answer, ask, candidate, entryOf } from '../support/cached-answers.ts';
import { createHandClock, createRedisParts, type HandClock } from '../support/limits.ts';
import { openRespConnection, type RespConnection } from '../../dev/redis/resp-connection.ts';
import type { BridgeFault } from '../../dev/redis/upstash-bridge.ts';
import { startRedisEnvironment, type RedisEnvironment } from '../../dev/redis/redis-environment.ts';
import { requireTool } from '../support/required-tools.ts';

const TTL_MS = 300_000;
const MAX_ENTRY_BYTES = 10_000;

describe('responses in Redis', requireTool('redis-server'), () => {
  let environment: RedisEnvironment;
  let redis: RespConnection;
  let clock: HandClock;

  beforeAll(async () => {
    environment = await startRedisEnvironment();
    redis = await openRespConnection(environment.socketPath);
  });
  afterAll(async () => {
    redis.close();
    await environment.close();
  });
  beforeEach(async () => {
    environment.bridge.inject(undefined);
    await redis.send(['FLUSHALL']);
    clock = createHandClock(Date.now());
  });

  function far(): CacheStore {
    const { url, token } = environment.bridge;
    const { circuit } = createRedisParts({ url, token, clock, timeoutMs: 1_000 });
    return createRedisStore({
      redis: createRedisClient({ url, token, timeoutMs: 1_000 }),
      execute: (work) => circuit.execute(work),
      prefix: 'answers:',
      maxEntryBytes: MAX_ENTRY_BYTES,
      ttlMs: TTL_MS,
      clock,
    });
  }

  /** What one instance has: its own memory, and the Redis of all. */
  function instance(): TieredCacheStore {
    const near = createMemoryStore({
      maxEntries: 100,
      maxBytes: 1_000_000,
      maxEntryBytes: MAX_ENTRY_BYTES,
      ttlMs: TTL_MS,
      clock,
    });
    return createTieredCacheStore({ local: near, remote: far(), maxPendingWrites: 10 });
  }

  function entry(text: string) {
    return entryOf(text, { storedAt: clock.now(), ttlMs: TTL_MS });
  }

  it('are returned unchanged, whatever characters they contain', async () => {
    const cache = far();
    const texts = ['plain', '12345', 'null', '{"a":1}', 'żółć 🦊 \u0000 \ud83d', 'T0s=', 'OK'];

    for (const text of texts) await cache.set(`key of ${text}`, entry(text));
    const found = [];
    for (const text of texts) found.push((await cache.get(`key of ${text}`))?.response.text);

    expect(found).toEqual(texts);
  });

  it('are found by another instance, which then stores them too', async () => {
    const [one, two] = [instance(), instance()];
    await one.set('key', entry('shared'));
    await one.flush();

    const first = await two.get('key');
    await redis.send(['FLUSHALL']);
    const second = await two.get('key');

    expect(first).toEqual(entry('shared'));
    expect(second).toEqual(first);
  });

  it('expire, in Redis too', async () => {
    const cache = far();
    await cache.set('key', entry('old'));
    const lifetimeMs = Number(await redis.send(['PTTL', 'answers:key']));

    clock.advance(TTL_MS);
    const over = await cache.get('key');

    expect(lifetimeMs).toBeGreaterThan(TTL_MS - 60_000);
    expect(lifetimeMs).toBeLessThanOrEqual(TTL_MS);
    expect(over).toBeUndefined();
  });

  it('are not written when they are too large', async () => {
    const stored = await far().set('key', entry('x'.repeat(MAX_ENTRY_BYTES)));

    expect(stored).toBe(false);
    expect(await redis.send(['DBSIZE'])).toBe(0);
  });

  it.each([
    ['no JSON', 'hello'],
    ['nothing', ''],
    ['a number', '42'],
    ['null', 'null'],
    ['a list', '[]'],
    ['too large', JSON.stringify({ x: 'x'.repeat(MAX_ENTRY_BYTES) })],
    ['too deep', '['.repeat(9_000)],
    ['without an answer', record({ response: undefined })],
    ['with a text that is none', record({ response: { ...candidate(), text: 7 } })],
    ['of another key', record({ key: 'another' })],
    ['with a field that nobody knows', record({ toolCalls: ['x'] })],
    ['that never ends', record({ expiresAt: 8_640_000_000_000_000 })],
    ['that is over', record({ expiresAt: 1 })],
  ])('R7 are a miss when Redis holds a record %s', async (_name, value) => {
    await redis.send(['SET', 'answers:key', value]);

    expect(await far().get('key')).toBeUndefined();
  });

  it('R3 are a miss when the key holds another type', async () => {
    await redis.send(['LPUSH', 'answers:key', 'a']);

    expect(await far().get('key')).toBeUndefined();
  });

  it.each<readonly [string, BridgeFault]>([
    ['R2 hangs', { kind: 'hang' }],
    ['R3 fails', { kind: 'status', status: 500 }],
    ['R3 answers with a web page', { kind: 'body', body: '<html>' }],
    ['R3 refuses', { kind: 'reply-error', message: 'NOAUTH Authentication required.' }],
  ])('are stored in the process while Redis %s', async (_name, fault) => {
    environment.bridge.inject(fault);
    const cache = createResponseCache({ store: instance(), ttlMs: TTL_MS, clock });
    const answerAgain = () =>
      answer(cache, { question: ask(), make: async () => candidate({ text: 'made' }) });

    const first = await answerAgain();
    const second = await answerAgain();

    expect(first.status).toEqual({ kind: 'forward', reason: 'miss', stored: true });
    expect(second).toMatchObject({ text: 'made', status: { kind: 'hit' } });
  });

  function record(change: object): string {
    const { model, usage } = candidate();
    const now = Date.now();
    const valid = {
      key: 'key',
      storedAt: now,
      expiresAt: now + TTL_MS,
      response: { text: 'because', model, usage },
    };
    return JSON.stringify({ ...valid, ...change });
  }

  it('R7 are found when Redis holds a valid record', async () => {
    await redis.send(['SET', 'answers:key', record({ expiresAt: clock.now() + 1_000 })]);

    expect((await far().get('key'))?.response.text).toBe('because');
  });
});
