import { describe, expect, it } from 'vitest';
import { createResponseCache, type ResponseCache } from '../../../shared/cache/response-cache.ts';
import type { CandidateResponse } from '../../../shared/cache/cache-headers.ts';
import { createMemoryStore } from '../../../shared/cache/cache-store.ts';
import { answer, ask, candidate, toMake } from '../../support/cached-answers.ts';
import { createHandClock } from '../../support/limits.ts';

const TTL_MS = 300_000;

function createCache(): ResponseCache {
  const clock = createHandClock();
  const cache = createMemoryStore({
    maxEntries: 1_000,
    maxBytes: 1_000_000,
    maxEntryBytes: 100_000,
    ttlMs: TTL_MS,
    clock,
  });
  return createResponseCache({ store: cache, ttlMs: TTL_MS, clock });
}

/** Calls that the test ends, in the order in which they started. */
function createScript(): {
  make: () => Promise<CandidateResponse>;
  calls: PromiseWithResolvers<CandidateResponse>[];
} {
  const calls: PromiseWithResolvers<CandidateResponse>[] = [];
  const make = (): Promise<CandidateResponse> => {
    const call = Promise.withResolvers<CandidateResponse>();
    calls.push(call);
    return call.promise;
  };
  return { make, calls };
}

describe('equal requests at the same time', () => {
  it('R8 cause one call for 500 of them, and all get its response', async () => {
    const cache = createCache();
    const { make, calls } = createScript();

    const all = Array.from({ length: 500 }, () => answer(cache, { question: ask(), make }));
    await expect.poll(() => calls.length).toBe(1);
    calls[0]?.resolve(candidate({ text: 'one for all' }));
    const answers = await Promise.all(all);

    expect(new Set(answers.map(({ text }) => text))).toEqual(new Set(['one for all']));
    expect(answers.filter(({ status }) => status.kind === 'collapsed')).toHaveLength(499);
    expect(calls).toHaveLength(1);
    expect(cache.counts()).toMatchObject({ misses: 1, collapsed: 499, stored: 1 });
  });

  it('R8 do not get the error of a call that was already running', async () => {
    const cache = createCache();
    const { make, calls } = createScript();

    const leader = expect(answer(cache, { question: ask(), make })).rejects.toThrow('first');
    const followers = Array.from({ length: 20 }, () => answer(cache, { question: ask(), make }));
    await expect.poll(() => calls.length).toBe(1);
    calls[0]?.reject(new Error('first'));
    await leader;
    await expect.poll(() => calls.length).toBe(2);
    calls[1]?.resolve(candidate({ text: 'second' }));
    const answers = await Promise.all(followers);

    expect(answers.every(({ text }) => text === 'second')).toBe(true);
    expect(calls).toHaveLength(2);
  });

  it('R8 get the error of a fresh call when that one fails too, and no third call is made', async () => {
    const cache = createCache();
    const { make, calls } = createScript();

    const all = Array.from({ length: 500 }, () => answer(cache, { question: ask(), make }));
    const ends = Promise.allSettled(all);
    await expect.poll(() => calls.length).toBe(1);
    calls[0]?.reject(new Error('first'));
    await expect.poll(() => calls.length).toBe(2);
    calls[1]?.reject(new Error('second'));
    const reasons = (await ends).map((end) => String(end.status === 'rejected' && end.reason));

    expect(reasons.filter((reason) => reason === 'Error: first')).toHaveLength(1);
    expect(reasons.filter((reason) => reason === 'Error: second')).toHaveLength(499);
    expect(calls).toHaveLength(2);
  });

  it('R8 continue when the leader disconnects', async () => {
    const cache = createCache();
    const { make, calls } = createScript();
    const leader = toMake(await cache.lookup(ask()));

    const followers = Array.from({ length: 10 }, () => answer(cache, { question: ask(), make }));
    leader.fill.abandon();
    await expect.poll(() => calls.length).toBe(1);
    calls[0]?.resolve(candidate());
    const answers = await Promise.all(followers);

    expect(answers.every(({ text }) => text === 'because')).toBe(true);
    expect(calls).toHaveLength(1);
  });

  it('R8 are not affected when a follower disconnects', async () => {
    const cache = createCache();
    const leader = toMake(await cache.lookup(ask()));
    const patience = new AbortController();
    const impatient = cache.lookup(ask({ signal: patience.signal }));
    const patient = cache.lookup(ask());

    patience.abort(new Error('gone'));
    await expect(impatient).rejects.toThrow('gone');
    await leader.fill.store(candidate());

    expect(await patient).toMatchObject({ kind: 'hit', response: { text: 'because' } });
  });

  it('each make a call when the response must not be shared', async () => {
    const cache = createCache();
    const { make, calls } = createScript();

    const all = Array.from({ length: 5 }, () => answer(cache, { question: ask(), make }));
    await expect.poll(() => calls.length).toBe(1);
    calls[0]?.resolve(candidate({ toolCalls: ['clock'], text: 'it is noon' }));
    await expect.poll(() => calls.length).toBe(5);
    for (const [index, call] of calls.entries()) call.resolve(candidate({ text: `own ${index}` }));
    const texts = (await Promise.all(all)).map(({ text }) => text);

    expect(new Set(texts)).toEqual(new Set(['it is noon', 'own 1', 'own 2', 'own 3', 'own 4']));
  });

  it('of two callers are two calls', async () => {
    const cache = createCache();
    const { make, calls } = createScript();

    void answer(cache, { question: ask({ callerId: 'alice' }), make });
    void answer(cache, { question: ask({ callerId: 'bob' }), make });

    await expect.poll(() => calls.length).toBe(2);
  });

  it('end with the response, so the next one is a hit', async () => {
    const cache = createCache();
    const first = await answer(cache, { question: ask(), make: async () => candidate() });

    const second = await cache.lookup(ask());

    expect(first.status).toEqual({ kind: 'forward', reason: 'miss', stored: true });
    expect(second).toMatchObject({ kind: 'hit', status: { kind: 'hit', ttlSeconds: 300 } });
  });

  it('read the store once', async () => {
    const clock = createHandClock();
    let looks = 0;
    const cache = createResponseCache({
      store: {
        get: async () => {
          looks += 1;
          return undefined;
        },
        set: async () => false,
      },
      ttlMs: TTL_MS,
      clock,
    });
    const { make, calls } = createScript();

    const all = Array.from({ length: 50 }, () => answer(cache, { question: ask(), make }));
    await expect.poll(() => calls.length).toBe(1);
    calls[0]?.resolve(candidate());
    await Promise.all(all);

    expect(looks).toBe(1);
  });

  it('survive a store that throws', async () => {
    const broken = async (): Promise<never> => {
      throw new Error('broken');
    };
    const cache = createResponseCache({
      store: { get: broken, set: broken },
      ttlMs: TTL_MS,
      clock: createHandClock(),
    });

    const answered = await answer(cache, { question: ask(), make: async () => candidate() });

    expect(answered).toEqual({
      text: 'because',
      status: { kind: 'forward', reason: 'miss', stored: false },
    });
  });
});
