import { assert, json, nat, property, string, tuple } from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createJsonPrefix } from '../../../shared/agent/json-prefix.ts';

function canContinue(text: string, root: 'object' | 'any' = 'any'): boolean {
  return createJsonPrefix(root).push(text);
}

/** Whether the engine's parser only misses the rest of a text. */
function isCutShort(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch (error) {
    const message = error instanceof Error ? error.message : '';
    const position = /position (\d+)/.exec(message)?.[1];
    return position === undefined
      ? message.includes('end of JSON input')
      : Number(position) >= text.length;
  }
}

describe('the prefix of a JSON text', () => {
  it('can continue wherever a valid text is cut', () => {
    assert(
      property(json(), nat(200), (text, cut) => {
        expect(canContinue(text.slice(0, cut))).toBe(true);
        expect(canContinue(JSON.stringify(JSON.parse(text), undefined, 2))).toBe(true);
      }),
    );
  });

  it('cannot continue where a parser stops before the end', () => {
    const edit = tuple(json(), nat(100), string({ maxLength: 3 }));

    assert(
      property(edit, ([text, at, inserted]) => {
        const edited = text.slice(0, at) + inserted + text.slice(at);
        // The parser reports an unfinished escape or number where it begins.
        if (/\\u?[0-9a-f]{0,3}$|[-.e+]$/i.test(edited)) return;
        expect([edited, canContinue(edited)]).toEqual([edited, isCutShort(edited)]);
      }),
      { numRuns: 2_000 },
    );
  });

  it.each([
    '{"a": 1, "b": [true, null, -0.5e+3, "x\\u00e9\\n"]',
    '',
    ' \n',
    '"abc',
    '"\\u12',
    '[1,',
    '-',
    '1e',
    '{"a"',
    '{}  ',
    'tru',
  ])('can continue: %j', (text) => {
    expect(canContinue(text)).toBe(true);
  });

  it.each([
    'Here is',
    '```json',
    '{a',
    "{'a'",
    '{"a" 1',
    '{"a":1,}',
    '[1,]',
    '[1 2',
    '01',
    '1.e',
    '.5',
    '+1',
    'nul1',
    '"\\x',
    '"\\u12g',
    '"a\nb',
    '{} {}',
    '{}x',
    '[}',
    ']',
    ',',
    '[1}',
    '--1',
  ])('cannot continue: %j', (text) => {
    expect(canContinue(text)).toBe(false);
  });

  it.each(['[', '"', '1', 't'])('cannot begin with %s where an object is wanted', (text) => {
    expect(canContinue(text, 'object')).toBe(false);
    expect(canContinue(text, 'any')).toBe(true);
    expect(canContinue(`{"a":${text}`, 'object')).toBe(true);
  });

  it('stays broken, and has a greatest depth', () => {
    const prefix = createJsonPrefix('any');

    expect([prefix.push('{'), prefix.push('x'), prefix.push('"a":1}')]).toEqual([
      true,
      false,
      false,
    ]);
    expect(canContinue('['.repeat(256))).toBe(true);
    expect(canContinue('['.repeat(257))).toBe(false);
  });
});
