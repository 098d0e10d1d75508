import { describe, expect, it } from 'vitest';
import { createRedactor } from '../../../shared/telemetry/redact.ts';

const redact = createRedactor({ secrets: () => ['known-secret-canary', 'short'] });

describe('createRedactor (H20)', () => {
  it.each([
    ['a secret of the process', 'got known-secret-canary back', 'known-secret-canary'],
    ['a key by its beginning', 'refused sk-proj-abcdefgh1234', 'abcdefgh1234'],
    ['a bearer token', 'header Bearer abc.def-ghi', 'abc.def-ghi'],
    ['a token of three parts', 'eyJhbGciOi.eyJzdWIiOi.c2lnbmF0dXJl', 'eyJzdWIiOi'],
    ['a key beside its name', 'AccountKey=abc123==;', 'abc123'],
    ['a key in JSON', '{"api-key": "abc123def"}', 'abc123def'],
    ['a function key in a query', 'https://x.example/api/chat?code=abc123def', 'abc123def'],
    ['a signature in a query', 'https://x.example/b?sv=1&sig=abc%2Bdef', 'abc%2Bdef'],
    ['an e-mail address', 'user jane.doe+x@mail.example.org left', 'jane.doe'],
    ['a phone number', 'call +49 (0)30 1234-5678 now', '1234'],
    ['a card', 'paid with 4111 1111 1111 1111', '1111'],
    ['an account', 'to DE89 3704 0044 0532 0130 00', '3704'],
    ['an address of a machine', 'from 192.0.2.17', '192.0.2.17'],
    ['an address of the sixth version', 'from 2001:db8::17', '2001:db8'],
    ['digits of another script', 'call ４１５-６６６-７７７７', '６６６'],
  ])('hides %s', (_name, text, hidden) => {
    const safe = redact(text);

    expect(safe).not.toContain(hidden);
    expect(safe).toMatch(/\[(?:secret|e-mail|number|account|address)\]/);
  });

  it.each([
    'upstream_timeout',
    'ServiceError upstream_timeout: The model did not answer in time',
    'handle open-handler.ts:34:12 | run agent.ts:7:1',
    '3f2504e0-4f89-41d3-9a0c-0305e82c3301',
    '11112222333344445555666677778888',
    '1234123412341234',
    '00-11112222333344445555666677778888-1234123412341234-01',
    '2030-01-01T12:00:00.000Z',
    'development-model',
    'short',
  ])('leaves %s as it is', (text) => {
    expect(redact(text)).toBe(text);
  });

  it('hides a secret that became known later', () => {
    const secrets: string[] = [];
    const later = createRedactor({ secrets: () => secrets });

    const before = later('the word rotated-canary');
    secrets.push('rotated-canary');

    expect([before, later('the word rotated-canary')]).toEqual([
      'the word rotated-canary',
      'the word [secret]',
    ]);
  });

  it.each(['a', '1', '@', 'a@', 'eyJ', ':', 'AB12 ', 'sk-', '1.', 'Bearer ', 'token=', '(', '1-'])(
    'takes no more than its length for many %s',
    (unit) => {
      const timeOf = (chars: number): number => {
        const text = unit.repeat(chars / unit.length);
        const runs = Array.from({ length: 5 }, () => {
          const startedAt = performance.now();
          redact(text);
          return performance.now() - startedAt;
        });
        return Math.min(...runs);
      };
      redact(unit.repeat(1_000));

      const short = timeOf(20_000);
      const long = timeOf(200_000);

      // Ten times the length; a hundred times the time would be the square of it.
      expect(long).toBeLessThan(Math.max(short, 0.5) * 60);
    },
  );
});
