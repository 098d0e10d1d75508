import { assert, jsonValue, property } from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createResponseCache } from '../../../shared/cache/response-cache.ts';
import {
  cacheKey,
  type CacheKeyInput,
  canonicalJson,
  createMemoryStore,
} from '../../../shared/cache/cache-store.ts';
import { answer, ask, candidate, keyParts } from '../../support/cached-answers.ts';
import { createHandClock } from '../../support/limits.ts';

describe('the key of a response', () => {
  it.each<readonly [string, Partial<CacheKeyInput>]>([
    ['caller', { callerId: 'bob' }],
    ['model', { model: 'fallback/gpt' }],
    ['temperature', { parameters: { temperature: 0 } }],
    ['output bound', { parameters: { maxOutputTokens: 5 } }],
    ['version of the prompt', { promptVersion: '2' }],
    ['tool set', { tools: [{ name: 'clock' }] }],
    ['instructions', { messages: [{ role: 'system', content: 'x' }, ...keyParts().messages] }],
    ['role of a message', { messages: [{ role: 'assistant', content: 'why?' }] }],
    ['case of a letter', { messages: [{ role: 'user', content: 'Why?' }] }],
    ['spelling of a character', { messages: [{ role: 'user', content: 'why\u0065\u0301?' }] }],
  ])('R6 changes with the %s', (_name, change) => {
    expect(cacheKey(keyParts(change))).not.toBe(cacheKey(keyParts()));
  });

  it('does not change with the order of fields, or with fields that are undefined', () => {
    const one = keyParts({ parameters: { seed: 1, temperature: 0, stop: undefined } });
    const other = keyParts({ parameters: { temperature: 0, seed: 1 } });

    expect(cacheKey(one)).toBe(cacheKey(other));
  });

  it('R6 cannot be forged by moving text from one field to the next', () => {
    const keys = [
      keyParts({ callerId: 'a', model: 'bc' }),
      keyParts({ callerId: 'ab', model: 'c' }),
      keyParts({ callerId: 'a","model":"bc', model: '' }),
      keyParts({
        messages: [
          { role: 'user', content: 'a' },
          { role: 'user', content: 'b' },
        ],
      }),
      keyParts({ messages: [{ role: 'user', content: 'a"},{"role":"user","content":"b' }] }),
    ].map(cacheKey);

    expect(new Set(keys).size).toBe(keys.length);
  });

  it('R6 never matches a response of another caller, in 10,000 pairs of prompts', async () => {
    const clock = createHandClock();
    const memory = createMemoryStore({
      maxEntries: 20_000,
      maxBytes: 100_000_000,
      maxEntryBytes: 100_000,
      ttlMs: 300_000,
      clock,
    });
    const cache = createResponseCache({ store: memory, ttlMs: 300_000, clock });
    const answerTo = (callerId: string, question: string) =>
      answer(cache, {
        question: ask({ callerId, question }),
        make: async () => candidate({ text: `for ${callerId}` }),
      });

    let crossed = 0;
    let own = 0;
    for (let pair = 0; pair < 10_000; pair += 1) {
      // Names that are prefixes of each other, and prompts that repeat and hold separators.
      const question = `{"caller":"tenant1"}|${pair % 5_000}`;
      for (const callerId of ['tenant', 'tenant1']) {
        const { text, status } = await answerTo(callerId, question);
        if (text !== `for ${callerId}`) crossed += 1;
        if (status.kind === 'hit') own += 1;
      }
    }

    expect(crossed).toBe(0);
    expect(own).toBe(10_000);
  });
});

describe('canonical JSON', () => {
  it('parses to the value that was written', () => {
    assert(
      property(jsonValue({ stringUnit: 'binary' }), (value) => {
        expect(canonicalJson(JSON.parse(canonicalJson(value)))).toBe(canonicalJson(value));
        expect(JSON.parse(canonicalJson(value))).toEqual(JSON.parse(JSON.stringify(value)));
      }),
    );
  });

  it('refuses what JSON would silently change', () => {
    for (const value of [Number.NaN, Infinity, 1n, () => 1, new Date(0), undefined, Symbol('x')]) {
      expect(() => canonicalJson(value)).toThrow(TypeError);
    }
  });
});
