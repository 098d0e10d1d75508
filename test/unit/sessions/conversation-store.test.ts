import { describe, expect, it } from 'vitest';
import { createConversationStore } from '../../../shared/sessions/conversation-store.ts';
import { createTextEncryption } from '../../../shared/storage/text-encryption.ts';
import { createMemoryContainer } from '../../support/batch/memory-container.ts';

const KEY = Buffer.alloc(32, 1).toString('base64');
const OTHER_KEY = Buffer.alloc(32, 2).toString('base64');

function setUp({ key }: { readonly key?: string } = {}) {
  const container = createMemoryContainer();
  const time = { now: Date.parse('2026-11-30T08:00:00Z') };
  const keys: { list: string | undefined } = { list: key };
  const store = createConversationStore({
    container,
    encryption: createTextEncryption({ read: () => keys.list }),
    retentionDays: 30,
    clock: { now: () => time.now },
  });
  const textOf = () =>
    [...container.blobs.values()].map(({ content }) => content.toString('utf8')).join('');
  return { container, store, time, keys, textOf };
}

describe('a conversation store', () => {
  it('returns the items in the order in which they were added', async () => {
    const { store } = setUp();
    const { id } = await store.create('ann', {
      kind: 'conv',
      metadata: { topic: 'a' },
      items: [{ id: 'm1', text: 'one' }],
    });

    const opened = await store.open('ann', id);
    if (opened === undefined || opened === 'busy') throw new Error('Cannot open it');
    await opened.append([{ id: 'm2', text: 'two' }, { id: 'm3' }]);
    await opened.removeItem('m3');
    await opened.setMetadata({ topic: 'b' });
    await opened.release();

    const found = await store.find('ann', id);
    expect(found?.items).toEqual([
      { id: 'm1', text: 'one' },
      { id: 'm2', text: 'two' },
    ]);
    expect(found?.metadata).toEqual({ topic: 'b' });
    expect(opened.conversation).toEqual(found);
  });

  it('has one active run for each conversation', async () => {
    const { store, container } = setUp();
    const { id } = await store.create('ann', { kind: 'sess' });
    const opened = await store.open('ann', id);

    const second = await store.open('ann', id);
    const removal = store.remove('ann', id);

    expect(second).toBe('busy');
    await expect(removal).rejects.toMatchObject({ code: 'session_busy', retryAfterSeconds: 1 });
    for (const name of container.blobs.keys()) container.loseLease(name);
    expect(opened).toMatchObject({ lostSignal: { aborted: true } });
    expect(await store.open('ann', id)).toMatchObject({ conversation: { id } });
  });

  it('makes a foreign conversation equal to an absent one', async () => {
    const { store } = setUp();
    const { id } = await store.create('ann', { kind: 'sess' });
    const absent = store.newId('sess');

    const results = await Promise.all(
      [id, absent, '../ann', '__proto__', ''].map(async (one) => [
        await store.find('bob', one),
        await store.open('bob', one),
        await store.remove('bob', one),
      ]),
    );

    for (const result of results) expect(result).toEqual([undefined, undefined, false]);
    expect(await store.find('ann', id)).toMatchObject({ id });
  });

  it('leaves nothing of a deleted conversation', async () => {
    const { store, container } = setUp();
    const { id } = await store.create('ann', { kind: 'sess', items: [{ id: 'm1' }] });

    const removed = await store.remove('ann', id);

    expect(removed).toBe(true);
    expect([...container.blobs]).toEqual([]);
    expect(await store.remove('ann', id)).toBe(false);
  });

  it('lists the conversations of one owner and kind, newest first, in pages', async () => {
    const { store, time } = setUp();
    const ids: string[] = [];
    for (let index = 0; index < 5; index += 1) {
      time.now += 1_000;
      ids.unshift((await store.create('ann', { kind: 'sess' })).id);
    }
    await store.create('ann', { kind: 'conv' });
    await store.create('bob', { kind: 'sess' });

    const first = await store.list('ann', { kind: 'sess', limit: 3 });
    const second = await store.list('ann', { kind: 'sess', limit: 3, after: ids[2] });

    expect(first.conversations.map(({ id }) => id)).toEqual(ids.slice(0, 3));
    expect(first.conversations[0]?.createdAt).toBe(time.now);
    expect(first.hasMore).toBe(true);
    expect(second.conversations.map(({ id }) => id)).toEqual(ids.slice(3));
    expect(second.hasMore).toBe(false);
  });

  it('does not return a conversation after its retention', async () => {
    const { store, time } = setUp();
    const { id } = await store.create('ann', { kind: 'sess' });

    time.now += 30 * 86_400_000 + 1;

    expect(await store.find('ann', id)).toBeUndefined();
    expect(await store.open('ann', id)).toBeUndefined();
  });

  it('stores no plain text while there is a key, and reads what old keys wrote', async () => {
    const { store, keys, textOf } = setUp({ key: KEY });
    const { id } = await store.create('ann', {
      kind: 'sess',
      metadata: { note: 'canary-meta' },
      items: [{ id: 'm1', text: 'canary-old' }],
    });
    keys.list = `${OTHER_KEY},${KEY}`;

    const opened = await store.open('ann', id);
    if (opened === undefined || opened === 'busy') throw new Error('Cannot open it');
    await opened.append([{ id: 'm2', text: 'canary-new' }]);

    expect(textOf()).not.toContain('canary');
    expect(textOf().match(/^enc\.1\.[0-9a-f]+/gm)).toHaveLength(3);
    expect((await store.find('ann', id))?.items).toHaveLength(2);
    keys.list = OTHER_KEY;
    await expect(store.find('ann', id)).rejects.toMatchObject({ code: 'config_unavailable' });
  });

  it('refuses lines of another conversation, of another owner, or in another order', async () => {
    const { store, container } = setUp({ key: KEY });
    const first = await store.create('ann', { kind: 'sess', items: [{ id: 'm1' }] });
    const second = await store.create('ann', { kind: 'sess', items: [{ id: 'm2' }] });
    const [own, other] = [...container.blobs.values()].map(({ content }) => content.toString());
    const [name = ''] = container.blobs.keys();
    const lines = own?.split('\n') ?? [];

    const attempts = [
      other ?? '',
      `${lines[1] ?? ''}\n${lines[0] ?? ''}\n`,
      `${lines[0] ?? ''}\n${lines[1] ?? ''}\n${lines[1] ?? ''}\n`,
    ];

    for (const text of attempts) {
      container.put(name, text);
      await expect(store.find('ann', first.id)).rejects.toMatchObject({ code: 'internal' });
    }
    expect(await store.find('ann', second.id)).toMatchObject({ items: [{ id: 'm2' }] });
  });
});
