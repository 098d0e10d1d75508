import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ServiceError } from '../../shared/errors.ts';
import { parseStrictJson, toJsonLine } from '../../shared/json.ts';

function codeOf(text: string): string {
  try {
    parseStrictJson(text);
  } catch (error) {
    if (error instanceof ServiceError) return error.code;
    throw error;
  }
  return 'accepted';
}

const keyArbitrary = fc.string({ unit: 'grapheme' }).filter((key) => key !== '__proto__');
const { value: saneValue } = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 4, withCrossShrink: true },
    fc.constantFrom<unknown>(null, true, false, '', -0, 0, 1e21, 'äöü 日本語 👩‍👩‍👧'),
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.string({ unit: 'grapheme' }),
    fc.array(tie('value'), { maxLength: 5 }),
    fc.dictionary(keyArbitrary, tie('value'), { maxKeys: 5, noNullPrototype: true }),
  ),
}));

describe('toJsonLine', () => {
  it('F6: is one line for every line reader, and the same value', () => {
    const separators = '\n\r\v\f\u001c\u001d\u001e\u0085\u2028\u2029';

    const line = toJsonLine({ [separators]: `a${separators}🦊` });

    expect(separators.split('').filter((separator) => line.includes(separator))).toEqual([]);
    expect(JSON.parse(line)).toEqual({ [separators]: `a${separators}🦊` });
  });
});

describe('parseStrictJson', () => {
  it('agrees with JSON.parse on valid values with any white space', () => {
    fc.assert(
      fc.property(saneValue, fc.constantFrom(undefined, 1, '\t'), (value, space) => {
        const text = JSON.stringify(value, undefined, space);

        expect(parseStrictJson(text)).toEqual(JSON.parse(text));
      }),
      { numRuns: 500 },
    );
  });

  it('throws nothing but errors with a code on any text', () => {
    const anyText = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.string({ unit: fc.constantFrom(...'{}[]",:\\u0ae1-+.tfn \n'.split('')) }),
    );

    fc.assert(
      fc.property(anyText, (text) => {
        expect(['accepted', 'invalid_json', 'invalid_encoding', 'invalid_request']).toContain(
          codeOf(text),
        );
      }),
      { numRuns: 2_000 },
    );
  });

  it.each(['', ' ', '{', '[1,]', "{'a':1}", '{"a":1}{', 'NaN', '\ufeff{}', '"\n"', '01', '"\\x"'])(
    'calls %j invalid JSON',
    (text) => {
      expect(codeOf(text)).toBe('invalid_json');
    },
  );

  it('refuses a level of nesting too many and takes one less', () => {
    const nested = (levels: number): string => '['.repeat(levels) + ']'.repeat(levels);

    expect(codeOf(nested(32))).toBe('accepted');
    expect(codeOf(nested(33))).toBe('invalid_request');
    expect(codeOf(nested(100_000))).toBe('invalid_request');
    expect(codeOf('{"a":'.repeat(33) + '1' + '}'.repeat(33))).toBe('invalid_request');
  });

  it('calls a hundred thousand open brackets invalid JSON', () => {
    expect(codeOf('['.repeat(100_000))).toBe('invalid_json');
    expect(codeOf('{"a":'.repeat(40_000))).toBe('invalid_json');
  });

  it('counts brackets and colons in strings as text', () => {
    const text = JSON.stringify({ a: '[[[{{{": "'.repeat(50), b: '\\"' });

    expect(parseStrictJson(text)).toEqual(JSON.parse(text));
  });

  it('refuses one key too many over the whole body', () => {
    const keys = (count: number): string =>
      JSON.stringify(Object.fromEntries(Array.from({ length: count }, (_, at) => [`k${at}`, 1])));

    expect(codeOf(keys(1_000))).toBe('accepted');
    expect(codeOf(keys(1_001))).toBe('invalid_request');
    expect(codeOf(`[${keys(600)},${keys(600)}]`)).toBe('invalid_request');
  });

  it.each([
    '{"a":1,"a":2}',
    '{"a":1,"\\u0061":2}',
    '{"x":{"a":1 , "a" :2}}',
    '[{"b":{},"b":{}}]',
    '{"":1,"":1}',
  ])('refuses the duplicate key of %s', (text) => {
    expect(codeOf(text)).toBe('invalid_request');
  });

  it('takes the same key in different objects', () => {
    expect(codeOf('{"a":{"a":1},"b":[{"a":1},{"a":2}]}')).toBe('accepted');
  });

  it.each(['{"__proto__":{"polluted":1}}', '{"\\u005f_proto__":1}', '[{"a":{"__proto__":[]}}]'])(
    'refuses the prototype key of %s',
    (text) => {
      expect(codeOf(text)).toBe('invalid_request');
      expect(Object.hasOwn(Object.prototype, 'polluted')).toBe(false);
    },
  );

  it('keeps "constructor" and "__proto__" as a value inert', () => {
    const value = parseStrictJson('{"constructor":{"prototype":{"polluted":1}},"a":"__proto__"}');

    expect(Object.keys(value as object)).toEqual(['constructor', 'a']);
    expect('polluted' in {}).toBe(false);
  });

  it.each(['1e400', '[-1e999]', '{"a":[1,1e309]}'])('refuses the overflow of %s', (text) => {
    expect(codeOf(text)).toBe('invalid_request');
  });

  it.each(['"\\ud800"', '["\\udc00x"]', '{"\\ud83d":1}', '{"a":{"b":"\ud800"}}'])(
    'refuses the lone surrogate of %j',
    (text) => {
      expect(codeOf(text)).toBe('invalid_encoding');
    },
  );

  it('takes a pair of surrogates, escaped or not', () => {
    expect(parseStrictJson('["\\ud83d\\ude00","😀"]')).toEqual(['😀', '😀']);
  });
});
