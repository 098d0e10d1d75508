import { describe, expect, it } from 'vitest';
import {
  parseDurationMs,
  readRateLimitResetMs,
  readRetryAfterMs,
} from '../../../shared/resilience/retry-after.ts';

const NOW = Date.parse('2026-11-21T07:00:00Z');
const IN_30_SECONDS = 'Sat, 21 Nov 2026 07:00:30 GMT';

function headers(entries: Record<string, string | string[]>): Headers {
  const result = new Headers();
  for (const [name, value] of Object.entries(entries)) {
    for (const one of [value].flat()) result.append(name, one);
  }
  return result;
}

describe('U1 to U4 the wait that an endpoint requests', () => {
  it.each([
    ['whole seconds', { 'retry-after': '2' }, 2_000],
    ['seconds with a fraction', { 'retry-after': '2.5' }, 2_500],
    ['spaces around', { 'retry-after': ' 3 ' }, 3_000],
    ['an HTTP date', { 'retry-after': IN_30_SECONDS }, 30_000],
    ['an RFC 850 date', { 'retry-after': 'Saturday, 21-Nov-26 07:00:30 GMT' }, 30_000],
    ['an asctime date', { 'retry-after': 'Sat Nov 21 07:00:30 2026' }, 30_000],
    ['milliseconds', { 'retry-after-ms': '700' }, 700],
    ['Azure milliseconds', { 'x-ms-retry-after-ms': '1200' }, 1_200],
    ['milliseconds before seconds', { 'retry-after-ms': '700', 'retry-after': '30' }, 700],
    ['Azure milliseconds too', { 'x-ms-retry-after-ms': '700', 'retry-after': '30' }, 700],
    ['nonsense in milliseconds', { 'retry-after-ms': 'soon', 'retry-after': '30' }, 30_000],
    ['zero milliseconds', { 'retry-after-ms': '0', 'retry-after': '30' }, 30_000],
    ['two headers, the larger', { 'retry-after': ['2', '30'] }, 30_000],
    ['two headers, one insane', { 'retry-after': ['1000000000', '7'] }, 7_000],
    ['a date and a number', { 'retry-after': [IN_30_SECONDS, '2'] }, 30_000],
    ['a day, the longest sane wait', { 'retry-after': '86400' }, 86_400_000],
    ['nothing', {}, undefined],
    ['an empty value', { 'retry-after': '' }, undefined],
    ['a past date', { 'retry-after': 'Sat, 21 Nov 2026 06:59:00 GMT' }, undefined],
    ['a negative number', { 'retry-after': '-5' }, undefined],
    ['zero', { 'retry-after': '0' }, undefined],
    ['a word', { 'retry-after': 'abc' }, undefined],
    ['an exponent', { 'retry-after': '1e9' }, undefined],
    ['more than a day', { 'retry-after': '1000000000' }, undefined],
    ['NaN', { 'retry-after': 'NaN' }, undefined],
    ['Infinity', { 'retry-after': 'Infinity' }, undefined],
    ['hexadecimal', { 'retry-after': '0x10' }, undefined],
    ['an impossible date', { 'retry-after': 'Sat, 99 Nov 2026 07:00:30 GMT' }, undefined],
    ['4,000 digits', { 'retry-after': '9'.repeat(4_000) }, undefined],
  ])('reads %s', (_name, entries, expected) => {
    expect(readRetryAfterMs(headers(entries), NOW)).toBe(expected);
  });
});

describe('U5 the reset time of the rate limits of an endpoint', () => {
  it.each([
    ['7', 7_000],
    ['7.66s', 7_660],
    ['6m0s', 360_000],
    ['12ms', 12],
    ['1h2m3.5s', 3_723_500],
    ['1d', 86_400_000],
    ['0', 0],
    ['0s', 0],
    ['-1', undefined],
    ['6m0', undefined],
    ['', undefined],
    ['soon', undefined],
    [null, undefined],
  ])('parses the duration %s', (value, expected) => {
    expect(parseDurationMs(value)).toBe(expected);
  });

  it.each([
    ['tokens only', { 'x-ratelimit-reset-tokens': '7' }, 7_000],
    ['requests only', { 'x-ratelimit-reset-requests': '30s' }, 30_000],
    [
      'the larger of both',
      { 'x-ratelimit-reset-tokens': '6m0s', 'x-ratelimit-reset-requests': '1s' },
      360_000,
    ],
    [
      'the exhausted one of both',
      {
        'x-ratelimit-reset-tokens': '6m0s',
        'x-ratelimit-remaining-tokens': '150',
        'x-ratelimit-reset-requests': '1s',
        'x-ratelimit-remaining-requests': '0',
      },
      1_000,
    ],
    [
      'an unknown rest as exhausted',
      { 'x-ratelimit-reset-tokens': '7', 'x-ratelimit-remaining-tokens': '-1' },
      7_000,
    ],
    ['-1 as unknown', { 'x-ratelimit-reset-tokens': '-1' }, undefined],
    ['0 as unknown', { 'x-ratelimit-reset-tokens': '0' }, undefined],
    ['nothing', {}, undefined],
  ])('reads %s', (_name, entries, expected) => {
    expect(readRateLimitResetMs(headers(entries))).toBe(expected);
  });
});
