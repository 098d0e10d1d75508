import { describe, expect, it } from 'vitest';
import { createTextEncryption } from '../../../shared/storage/text-encryption.ts';

const OLD = Buffer.alloc(32, 1).toString('base64');
const NEW = Buffer.alloc(32, 2).toString('hex');

const withKeys = (list: string | undefined) => createTextEncryption({ read: () => list });

describe('a text encryption', () => {
  it('returns what it sealed, in one line without the text', () => {
    const encryption = withKeys(OLD);

    const sealed = encryption.seal('my\nsecret ñ 🙂', 'here');

    expect(encryption.open(sealed, 'here')).toBe('my\nsecret ñ 🙂');
    expect(sealed).toMatch(/^enc\.1\.[0-9a-f]{12}\.[\w-]+$/);
    expect(encryption.seal('my\nsecret ñ 🙂', 'here')).not.toBe(sealed);
  });

  it('opens texts of every listed key, and seals with the first', () => {
    const before = withKeys(OLD).seal('a', 'here');

    const rotated = withKeys(`${NEW}, ${OLD}`);

    expect(rotated.open(before, 'here')).toBe('a');
    expect(withKeys(NEW).open(rotated.seal('b', 'here'), 'here')).toBe('b');
  });

  it('opens no text of a key that is not listed', () => {
    const sealed = withKeys(OLD).seal('a', 'here');

    const open = () => withKeys(NEW).open(sealed, 'here');

    expect(open).toThrow(expect.objectContaining({ code: 'config_unavailable' }));
    expect(() => withKeys(undefined).open(sealed, 'here')).toThrow(/must still list the key/);
  });

  it('opens no text that was changed, shortened or stored in another place', () => {
    const encryption = withKeys(OLD);
    const sealed = encryption.seal('the text', 'here');
    const changed = `${sealed.slice(0, -2)}${sealed.endsWith('A') ? 'B' : 'A'}${sealed.at(-1) ?? ''}`;

    const open = (text: string, context: string) => () => encryption.open(text, context);

    for (const attempt of [
      open(changed, 'here'),
      open(sealed.slice(0, -8), 'here'),
      open(sealed.slice(0, 24), 'here'),
      open(sealed, 'there'),
    ]) {
      expect(attempt).toThrow(expect.objectContaining({ code: 'internal' }));
    }
  });

  it('stores texts as they are without keys, and opens those later', () => {
    const plain = withKeys(undefined).seal('{"a":1}', 'here');

    expect(plain).toBe('{"a":1}');
    expect(withKeys(OLD).open(plain, 'here')).toBe('{"a":1}');
  });

  it('refuses a key of another length', () => {
    const seal = () => withKeys(`${OLD},${Buffer.alloc(16).toString('base64')}`).seal('a', 'here');

    expect(seal).toThrow('history-encryption-key must have keys of 32 bytes');
  });
});
