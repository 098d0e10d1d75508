import { describe, expect, it } from 'vitest';
import {
  compilePatterns,
  createInputCheck,
  type InputRules,
  type ValidatedInput,
} from '../../../shared/guardrails/input-validation.ts';

const NO_RULES: InputRules = {
  scripts: [],
  maxOtherLetters: 0,
  attachments: 'any',
  attachmentTypes: [],
};
const INPUT: ValidatedInput = { texts: ['Hello there'], images: [], values: [] };

function problemOf(rules: Partial<InputRules>, input: Partial<ValidatedInput> = {}) {
  return createInputCheck({ ...NO_RULES, ...rules }, [])({ ...INPUT, ...input });
}

function refuse(index: number): never {
  throw new RangeError(`The pattern ${index} was refused`);
}

describe('createInputCheck', () => {
  it.each([
    ['a long message', { maxMessageChars: 10 }, {}, 'at most 10 characters'],
    ['long messages', { maxTotalChars: 10 }, { texts: ['Hello', 'there!'] }, 'at most 10 char'],
    ['many messages', { maxMessages: 1 }, { texts: ['a', 'b'] }, 'at most 1 messages'],
    ['deep values', { maxDepth: 2 }, { values: [{ a: { b: {} } }] }, 'at most 2 levels'],
    ['other scripts', { scripts: ['Latin'] }, { texts: ['Привет'] }, 'written in Latin'],
    ['an image', { attachments: 'none' }, { images: ['data:image/png;base64,'] }, 'no attach'],
    [
      'another type of image',
      { attachments: 'listed', attachmentTypes: ['image/png'] },
      { images: ['data:image/svg+xml,'] },
      'of the types image/png',
    ],
    [
      'an image on the web',
      { attachments: 'listed', attachmentTypes: ['image/*'] },
      { images: ['https://docs.example/a.png'] },
      'of the types image/*',
    ],
  ] as const)('refuses %s', (...[, rules, input, problem]) => {
    expect(problemOf(rules, input)).toContain(problem);
  });

  it('accepts what the rules allow', () => {
    const rules = {
      maxMessageChars: 100,
      maxTotalChars: 100,
      maxMessages: 2,
      maxDepth: 2,
      scripts: ['Latin', 'Cyrillic'],
      maxOtherLetters: 1,
      attachments: 'listed',
      attachmentTypes: ['image/*', 'url'],
    } as const;

    const problem = problemOf(rules, {
      texts: ['Grüße, привет: π is 3.14 😀'],
      images: ['data:image/png;base64,', 'https://docs.example/a.png'],
      values: [{ a: [1] }],
    });

    expect(problem).toBeUndefined();
  });
});

describe('compilePatterns', () => {
  it('finds a topic in any case and behind look-alike letters', async () => {
    const patterns = await compilePatterns(['\\b(?:casino|poker)\\b'], refuse);
    const check = createInputCheck(NO_RULES, patterns);

    const problems = ['About CASINO games', 'The c a s i n o', 'p\u043eker', 'A cassino'].map(
      (text) => check({ ...INPUT, texts: [text] }),
    );

    const problem = 'a message is about a topic that is not allowed';
    expect(problems).toEqual([problem, problem, problem, undefined]);
  });

  it.each(['(a', '(?=a)b', '(a)\\1', '(?<!a)b', 'a{2000}'])(
    'refuses the pattern %j',
    async (pattern) => {
      await expect(compilePatterns(['ok', pattern], refuse)).rejects.toThrow('pattern 1');
    },
  );

  it('takes linear time for a pattern that takes others years', async () => {
    const [pattern] = await compilePatterns(['^(?:a+)+$'], refuse);

    expect(pattern?.test(`${'a'.repeat(20_000)}!`)).toBe(false);
  });
});
