import { hash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { createCallerKeyStore, findCaller } from '../../../shared/callers/caller.ts';

function createSource(secret: string | undefined) {
  const source = {
    secret,
    absent: false,
    read: () => source.secret,
    isAbsent: () => source.absent,
  };
  return source;
}

function listOf(name: string, key: string): string {
  return JSON.stringify({ [name]: hash('sha256', key) });
}

describe('the store of caller keys', () => {
  it('follows the secret when it changes', () => {
    const source = createSource(listOf('alice', 'old'));
    const currentKeys = createCallerKeyStore(source);
    const before = currentKeys();

    source.secret = listOf('alice', 'new');
    const after = currentKeys();

    expect(before && findCaller(before, 'old')).toBe('alice');
    expect(after && findCaller(after, 'old')).toBeUndefined();
    expect(after && findCaller(after, 'new')).toBe('alice');
  });

  it('accepts the old and the new key of a caller during a rotation', () => {
    const digests = ['old', 'new'].map((key) => hash('sha256', key));
    const keys = createCallerKeyStore(createSource(JSON.stringify({ alice: digests })))();

    const names = ['old', 'new', 'other'].map((key) => keys && findCaller(keys, key));

    expect(names).toEqual(['alice', 'alice', undefined]);
  });

  it('parses a list once, however often it is called', () => {
    const currentKeys = createCallerKeyStore(createSource(listOf('alice', 'key')));

    expect(currentKeys()).toBe(currentKeys());
  });

  it('requires no key only where the secret is known to be absent', () => {
    const source = createSource(undefined);
    const currentKeys = createCallerKeyStore(source);

    expect(currentKeys).toThrow('Cannot identify callers: secret caller-keys: not loaded yet');
    source.absent = true;
    expect(currentKeys()).toBeUndefined();
  });

  it('refuses callers when the list disappears', () => {
    const source = createSource(listOf('alice', 'key'));
    const currentKeys = createCallerKeyStore(source);
    const before = currentKeys();

    source.secret = undefined;
    source.absent = true;

    expect(currentKeys()).toBe(before);
  });

  it.each(['{', '{}', '[]'])(
    'refuses callers while the list is %s, and accepts them with the next valid one',
    (bad) => {
      const source = createSource(listOf('alice', 'key'));
      const currentKeys = createCallerKeyStore(source);
      currentKeys();

      source.secret = bad;
      expect(currentKeys).toThrow('it must be a JSON object');
      source.secret = listOf('bob', 'key');
      const after = currentKeys();

      expect(after && findCaller(after, 'key')).toBe('bob');
    },
  );
});
