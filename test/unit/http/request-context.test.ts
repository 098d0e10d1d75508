import { describe, expect, it } from 'vitest';
import { requestIdOf, traceFieldsOf, traceparentOf } from '../../../shared/http/request-context.ts';

const HOST = '00-11111111111111111111111111111111-2222222222222222-01';
const CALLER = '00-33333333333333333333333333333333-4444444444444444-00';
const MADE = /^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/;

describe('traceparentOf', () => {
  it("prefers the host's, then the caller's, then makes one", () => {
    expect(traceparentOf(HOST, CALLER)).toBe(HOST);
    expect(traceparentOf('', CALLER)).toBe(CALLER);
    expect(traceparentOf(undefined, CALLER)).toBe(CALLER);
    expect(traceparentOf('', undefined)).toMatch(MADE);
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
    expect(traceparentOf('', invalid)).toMatch(MADE);
    expect(traceparentOf('', invalid)).not.toBe(invalid);
    expect(traceparentOf(invalid, CALLER)).toBe(CALLER);
  });

  it('makes a new trace each time', () => {
    const made = new Set(
      Array.from({ length: 50 }, () => traceFieldsOf(traceparentOf('', undefined)).traceId),
    );

    expect(made.size).toBe(50);
  });
});

describe('requestIdOf', () => {
  it.each(['a', 'req-1', '0f8fad5b-d9cb-469f-a165-70867728950e', 'A.b:c_d', 'x'.repeat(128)])(
    'keeps the harmless %s',
    (id) => {
      expect(requestIdOf(id)).toBe(id);
    },
  );

  it.each([
    '',
    ' a',
    '-a',
    'a b',
    'a\r\nset-cookie: x=1',
    'a\n',
    'a\0',
    'ä',
    'a\u202eb',
    '../../etc/passwd',
    '<script>',
    '"',
    'x'.repeat(129),
    'one, two',
  ])('replaces %j', (id) => {
    expect(requestIdOf(id)).toMatch(/^[0-9a-f]{8}-[0-9a-f-]{27}$/);
  });
});
