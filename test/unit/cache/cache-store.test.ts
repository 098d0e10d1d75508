import { describe, expect, it } from 'vitest';
import {
  type CacheEntry,
  createTieredCacheStore,
  type CacheStore,
} from '../../../shared/cache/cache-store.ts';
import { entryOf } from '../../support/cached-answers.ts';

const entry = entryOf('because', { storedAt: 1, ttlMs: 1_000 });

function createMapCache(): CacheStore & { entries: Map<string, CacheEntry>; looks: string[] } {
  const entries = new Map<string, CacheEntry>();
  const looks: string[] = [];
  return {
    entries,
    looks,
    async get(key) {
      looks.push(key);
      return entries.get(key);
    },
    async set(key, value) {
      entries.set(key, value);
      return true;
    },
  };
}

describe('the tiered store', () => {
  it('reads the remote store only after a local miss', async () => {
    const [near, far] = [createMapCache(), createMapCache()];
    const cache = createTieredCacheStore({ local: near, remote: far, maxPendingWrites: 10 });
    far.entries.set('key', entry);

    const found = [await cache.get('key'), await cache.get('key')];

    expect(found).toEqual([entry, entry]);
    expect(far.looks).toEqual(['key']);
  });

  it('does not wait for remote writes and limits concurrent ones', async () => {
    const near = createMapCache();
    const writes: PromiseWithResolvers<boolean>[] = [];
    const far: CacheStore = {
      get: async () => undefined,
      set() {
        const write = Promise.withResolvers<boolean>();
        writes.push(write);
        return write.promise;
      },
    };
    const cache = createTieredCacheStore({ local: near, remote: far, maxPendingWrites: 2 });

    const stored = [];
    for (const key of ['a', 'b', 'c']) stored.push(await cache.set(key, entry));
    const atOnce = writes.length;
    for (const write of writes) write.resolve(true);
    await cache.flush();
    await cache.set('d', entry);

    expect(stored).toEqual([true, true, true]);
    expect(near.entries.size).toBe(4);
    expect([atOnce, writes.length]).toEqual([2, 3]);
  });

  it('continues when a remote write fails', async () => {
    const far: CacheStore = {
      get: async () => undefined,
      set: async () => {
        throw new Error('broken');
      },
    };
    const cache = createTieredCacheStore({
      local: createMapCache(),
      remote: far,
      maxPendingWrites: 2,
    });

    const stored = await cache.set('a', entry);
    await cache.flush();

    expect(stored).toBe(true);
  });
});
