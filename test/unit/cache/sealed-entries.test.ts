import { describe, expect, it } from 'vitest';
import { createRedisStore } from '../../../shared/cache/redis-store.ts';
import { createTextEncryption } from '../../../shared/storage/text-encryption.ts';

const KEY = Buffer.alloc(32, 1).toString('base64');
const OTHER_KEY = Buffer.alloc(32, 2).toString('base64');
const ENTRY = {
  storedAt: 1_000,
  expiresAt: 60_000,
  response: {
    text: 'canary-4711',
    model: 'm',
    usage: { inputTokens: 1, outputTokens: 1, totalTokens: 2 },
  },
};

function setUp() {
  const texts = new Map<string, string>();
  const keys = { list: KEY };
  const store = createRedisStore({
    redis: {
      get: async (key) => texts.get(key) ?? null,
      set: async (key, value) => texts.set(key, value),
    },
    execute: (command) => command(),
    prefix: 'cache:',
    maxEntryBytes: 65_536,
    ttlMs: 60_000,
    encryption: createTextEncryption({ read: () => keys.list }),
    clock: { now: () => 1_000 },
  });
  return { texts, keys, store };
}

describe('entries of the cache in Redis, while there is an encryption key', () => {
  it('are stored without plain text, and found again', async () => {
    const { store, texts } = setUp();

    await store.set('k1', ENTRY);

    expect(await store.get('k1')).toEqual(ENTRY);
    expect([...texts.values()].join('')).toMatch(/^enc\.1\.[^ ]+$/);
    expect([...texts.values()].join('')).not.toContain('canary');
  });

  it('are a miss under another name, and once their key is gone', async () => {
    const { store, texts, keys } = setUp();
    await store.set('k1', ENTRY);

    texts.set('cache:k2', texts.get('cache:k1') ?? '');
    const moved = await store.get('k2');
    keys.list = OTHER_KEY;

    expect(moved).toBeUndefined();
    expect(await store.get('k1')).toBeUndefined();
  });
});
