import { describe, expect, it } from 'vitest';
import { imagesFilter, linksFilter } from '../../../shared/guardrails/links.ts';
import { findSecrets, secretsFilter } from '../../../shared/guardrails/secrets.ts';
import {
  createFilterStream,
  type Finding,
  type TextFilter,
} from '../../../shared/guardrails/stream-redactor.ts';

const HOSTS = { allowedHosts: ['docs.example', '*.shop.example'] };

function whole(filter: TextFilter<Finding>, text: string): string {
  const stream = createFilterStream(filter);
  return stream.push(text) + stream.end();
}

/** The text in pieces of every size from one character up. */
function pieces(filter: TextFilter<Finding>, text: string): string[] {
  return [1, 2, 3, 7, 31].map((size) => {
    const stream = createFilterStream(filter);
    const parts = text.match(new RegExp(`[^]{1,${size}}`, 'g')) ?? [];
    return parts.map((part) => stream.push(part)).join('') + stream.end();
  });
}

describe('linksFilter', () => {
  it.each([
    ['See [the manual](https://evil.example/?q=1) now.', 'See the manual now.'],
    ['Go to https://evil.example/a?b=c or stay.', 'Go to [link] or stay.'],
    ['Go to www.evil.example/a or stay.', 'Go to [link] or stay.'],
    ['[a](//evil.example/x)', 'a'],
    ['[a](https:/\\evil.example/x)', 'a'],
    ['[a](https&#58;//evil.example/x)', 'a'],
    ['[a](javascript:alert(1))', 'a'],
    ['<a href="https://evil.example">a</a>', 'a</a>'],
    ['[1]: https://evil.example/x "t"', ' "t"'],
    ['https://docs.example@evil.example/', '[link]'],
    ['https://docs.example.evil.example/', '[link]'],
  ])('takes the link out of %j', (text, safe) => {
    expect(whole(linksFilter(HOSTS), text)).toBe(safe);
    expect(new Set(pieces(linksFilter(HOSTS), text))).toEqual(new Set([safe]));
  });

  it.each([
    'See [the manual](https://docs.example/a?b=c) and https://eu.shop.example/x',
    'See [below](#part) or [this](/path/of/page), a[0](1) and x < y, 10:30, e.g. a:b',
    '![image](https://evil.example/x.png)',
    'if (a[i] < b) { return [c](d); }',
  ])('leaves %j', (text) => {
    expect(whole(linksFilter(HOSTS), text)).toBe(text);
    expect(new Set(pieces(linksFilter(HOSTS), text))).toEqual(new Set([text]));
  });
});

describe('imagesFilter', () => {
  it.each([
    ['Look: ![chart](https://evil.example/p.png?d=secret) there', 'Look: [image] there'],
    ['<img src="https://evil.example/p.png">', '[image]'],
    ['<img src=//evil.example/p.png>', '[image]'],
    ['<img srcset="https://evil.example/p.png 2x" src="/p.png">', '[image]'],
    ['![a][1]\n[1]: https://evil.example/p.png', '![a][1]\n'],
  ])('takes the image out of %j', (text, safe) => {
    expect(whole(imagesFilter(HOSTS), text)).toBe(safe);
    expect(new Set(pieces(imagesFilter(HOSTS), text))).toEqual(new Set([safe]));
  });

  it('leaves images of an allowed host, and links', () => {
    const text = '![a](https://docs.example/p.png) [b](https://evil.example)';

    expect(whole(imagesFilter(HOSTS), text)).toBe(text);
  });
});

describe('secretsFilter', () => {
  const filter = secretsFilter(() => ['own-key-of-the-process']);

  it.each([
    ['the key sk-proj-abcdefgh1234 works', 'the key [secret] works'],
    ['password = hunter2000, ok', 'password = [secret], ok'],
    ['Authorization: Bearer abc.def-ghi end', 'Authorization: [secret] end'],
    ['it is own-key-of-the-process, yes', 'it is [secret], yes'],
    ['-----BEGIN PRIVATE KEY-----\nMIIEvQ\n-----END PRIVATE KEY-----\nend', '[secret]\nend'],
  ])('hides the secret in %j, whole and in pieces', (text, safe) => {
    expect(whole(filter, text)).toBe(safe);
    expect(new Set(pieces(filter, text))).toEqual(new Set([safe]));
  });

  it('leaves plain text', () => {
    const text = 'The token bucket of a caller fills up; ask sk for v1.2.3 of file-1.';

    expect(whole(filter, text)).toBe(text);
    expect(findSecrets(text)).toEqual([]);
  });
});

describe('the filters', () => {
  it.each([
    '[',
    '![',
    '](',
    '<img ',
    'https://',
    '[a](',
    'sk-',
    'token=',
    '-----BEGIN ',
    'eyJ.',
    ']: ',
  ])('take time in proportion to the length for many %j', (unit) => {
    const timeOf = (length: number): number => {
      const text = unit.repeat(length / unit.length);
      const before = process.cpuUsage();
      for (const filter of [linksFilter(HOSTS), imagesFilter(HOSTS), secretsFilter(() => [])]) {
        filter.find(text);
        filter.openFrom(text);
      }
      const { user, system } = process.cpuUsage(before);
      return user + system;
    };
    timeOf(5_000);

    // Ten times the length; a hundred times the time would be the square of it.
    expect(timeOf(50_000) / Math.max(timeOf(5_000), 1_000)).toBeLessThan(60);
  });
});
