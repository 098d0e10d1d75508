import { describe, expect, it } from 'vitest';
import { assertValidResponse } from '../../../shared/http/handler.ts';

describe('assertValidResponse', () => {
  it.each([{}, { status: 200 }, { status: 599 }, { headers: { 'x-a': 'tab\tand ü' } }])(
    'passes %j as it is',
    (response) => {
      expect(assertValidResponse(response)).toBe(response);
    },
  );

  it.each([
    { status: 0 },
    { status: 101 },
    { status: 600 },
    { status: 200.5 },
    { status: Number.NaN },
    { headers: { 'x-a': 'a\r\nb: c' } },
    { headers: { 'x-a': 'a\nb' } },
    { headers: { 'x-a': '\u0001' } },
    { headers: { 'x-a': '日本' } },
    { headers: { 'x a': 'b' } },
    { headers: { '': 'b' } },
  ])('refuses %j, which the platform would never answer', (response) => {
    expect(() => assertValidResponse(response)).toThrow();
  });
});
