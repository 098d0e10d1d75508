import { describe, expect, it } from 'vitest';
import { chooseTraceparent, traceFields } from '../../../shared/telemetry/spans.ts';

const HOST = '00-11111111111111111111111111111111-2222222222222222-01';
const CALLER = '00-33333333333333333333333333333333-4444444444444444-00';
const MADE = /^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/;

describe('chooseTraceparent', () => {
  it('prefers the first valid one, then makes one', () => {
    expect(chooseTraceparent(HOST, CALLER)).toBe(HOST);
    expect(chooseTraceparent('', CALLER)).toBe(CALLER);
    expect(chooseTraceparent(undefined, CALLER)).toBe(CALLER);
    expect(chooseTraceparent('', undefined)).toMatch(MADE);
  });

  it.each([
    '',
    'x',
    '00-00000000000000000000000000000000-4444444444444444-01',
    '00-33333333333333333333333333333333-0000000000000000-01',
    '00-3333333333333333333333333333333G-4444444444444444-01',
    'ff-33333333333333333333333333333333-4444444444444444-01',
    `${CALLER}-extra`,
    `${CALLER}\r\nx-evil: 1`,
    `${CALLER}\n`,
    ` ${CALLER}`,
    CALLER.replace('3', '\u0663'),
  ])('replaces the invalid %j', (invalid) => {
    expect(chooseTraceparent('', invalid)).toMatch(MADE);
    expect(chooseTraceparent('', invalid)).not.toBe(invalid);
    expect(chooseTraceparent(invalid, CALLER)).toBe(CALLER);
  });

  it('makes a new trace each time', () => {
    const made = new Set(
      Array.from({ length: 50 }, () => traceFields(chooseTraceparent('', undefined)).traceId),
    );

    expect(made.size).toBe(50);
  });
});
