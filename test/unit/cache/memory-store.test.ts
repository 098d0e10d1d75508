import { describe, expect, it } from 'vitest';
import { createMemoryStore, type MemoryStore } from '../../../shared/cache/cache-store.ts';
import { entryOf } from '../../support/cached-answers.ts';
import { heapBytes } from '../../support/heap-bytes.ts';
import { createHandClock } from '../../support/limits.ts';

const TTL_MS = 300_000;
const clock = createHandClock();

function create(limits: { maxEntries?: number; maxBytes?: number } = {}): MemoryStore {
  return createMemoryStore({
    maxEntries: 1_000,
    maxBytes: 4_000_000,
    maxEntryBytes: 100_000,
    ttlMs: TTL_MS,
    clock,
    ...limits,
  });
}

function entry(text: string) {
  return entryOf(text, { storedAt: clock.now(), ttlMs: TTL_MS });
}

describe('responses in this process', () => {
  it('R9 stay within their number and size at 200,000 keys', async () => {
    const cache = create();
    const text = 'x'.repeat(1_000);
    const before = heapBytes();

    for (let index = 0; index < 200_000; index += 1) {
      await cache.set(`key-${index}`, entry(`${text}${index}`));
    }

    const { entries, bytes } = cache.size();
    expect(entries).toBeLessThanOrEqual(1_000);
    expect(bytes).toBeLessThanOrEqual(4_000_000);
    // Without the caps it would hold 200 MB of text and more.
    expect(heapBytes() - before).toBeLessThan(20_000_000);
  });

  it('R9 stay within the bytes when few entries are large', async () => {
    const cache = create({ maxBytes: 200_000 });

    for (let index = 0; index < 100; index += 1) {
      await cache.set(`key-${index}`, entry('x'.repeat(20_000)));
    }

    expect(cache.size().entries).toBe(4);
    expect(cache.size().bytes).toBeLessThanOrEqual(200_000);
  });

  it('are not evicted by one that is too large', async () => {
    const cache = create();
    await cache.set('small', entry('small'));

    const kept = await cache.set('huge', entry('x'.repeat(100_000)));

    expect(kept).toBe(false);
    expect(await cache.get('huge')).toBeUndefined();
    expect((await cache.get('small'))?.response.text).toBe('small');
  });

  it('evict the least recently used one when they are full', async () => {
    const cache = create({ maxEntries: 2 });
    await cache.set('a', entry('a'));
    await cache.set('b', entry('b'));
    await cache.get('a');

    await cache.set('c', entry('c'));

    expect(await cache.get('b')).toBeUndefined();
    expect((await cache.get('a'))?.response.text).toBe('a');
  });

  it('remove an expired entry when it is read', async () => {
    const cache = create();
    await cache.set('a', entryOf('a', { storedAt: clock.now() - TTL_MS, ttlMs: TTL_MS }));

    expect(await cache.get('a')).toBeUndefined();
    expect(cache.size().entries).toBe(0);
  });
});
