import { hash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { createRedactor } from '../../../shared/guardrails/log-redactor.ts';

const redact = createRedactor({ secrets: () => ['known-secret-canary', 'short'] });

/** Processor time, because other work changes the wall clock time; the lowest of three. */
function cpuMsOf(text: string): number {
  const runs = Array.from({ length: 3 }, () => {
    const before = process.cpuUsage();
    redact(text);
    const { user, system } = process.cpuUsage(before);
    return (user + system) / 1_000;
  });
  return Math.min(...runs);
}

describe('the setting for personal data in logs', () => {
  const TEXT = 'user jane@shop.example with sk-proj-abcdefgh1234 paid';

  it.each([
    ['off', 'user jane@shop.example with [secret] paid', []],
    ['observe', 'user jane@shop.example with [secret] paid', ['observed']],
    ['redact', 'user [e-mail] with [secret] paid', ['redacted']],
    ['block', '[personal data]', ['blocked']],
  ] as const)('%s writes %j', (personalData, written, reported) => {
    const outcomes: string[] = [];
    const redactWith = createRedactor({
      secrets: () => [],
      personalData,
      onPersonalData: (outcome) => void outcomes.push(outcome),
    });

    const safe = [redactWith(TEXT), redactWith('nothing of 3 kinds')];

    expect(safe).toEqual([written, 'nothing of 3 kinds']);
    expect(outcomes).toEqual(reported);
  });

  it('finds what the guardrails find', () => {
    const texts = ['jane@shop.example', '2001:db8::1', 'GB82WEST12345698765432', '(415) 555-2671'];

    expect(texts.map((text) => redact(text))).toEqual([
      '[e-mail]',
      '[address]',
      '[account]',
      '[number]',
    ]);
  });
});

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
    'aaaa2222333344445555666677778888',
    '12341234123412ab',
    'batch_11112222333344445555666677778888',
    'file-11112222333344445555666677778888',
    'file-batch_11112222333344445555666677778888-output-0',
    'batch_req_batch_11112222333344445555666677778888_12',
    'read jobs/batch_11112222333344445555666677778888/plan.json, then 3f2504e0-4f89-41d3-9a0c-0305e82c3301',
    '00-11112222333344445555666677778888-1234123412341234-01',
    '2030-01-01T12:00:00.000Z',
    'development-model',
    'short',
  ])('leaves %s as it is', (text) => {
    expect(redact(text)).toBe(text);
  });

  it('T11 keeps every id of a batch and of a file, wherever it stands', () => {
    const ids = Array.from({ length: 2_000 }, (_, index) => {
      const hex = hash('sha256', String(index)).slice(0, 32);
      return [`batch_${hex}`, `file-${hex}`, `file-batch_${hex}-errors-${index % 9}`];
    }).flat();

    const mangled = ids.filter((id) => redact(`at ${id}: gone`) !== `at ${id}: gone`);

    expect(mangled).toEqual([]);
  });

  it.each([
    [
      'a phone number behind an id',
      '3f2504e0-4f89-41d3-9a0c-0305e82c3301 +49 30 12345678',
      '12345678',
    ],
    ['a phone number that begins like an id', 'batch_0301234567', '0301234567'],
    ['a card of sixteen digits', '4111111111111111', '4111'],
    ['two cards in a row', '41111111111111114111111111111111', '4111'],
    ['a key that contains an id', 'sk-3f2504e0-4f89-41d3-9a0c-0305e82c3301', '3f2504e0'],
    [
      'an address with an id for its user',
      '11112222333344445555666677778888@mail.example',
      '11112222',
    ],
  ])('T11 hides %s', (_name, text, hidden) => {
    expect(redact(text)).not.toContain(hidden);
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

  it.each([
    'a',
    '1',
    '@',
    'a@',
    'a.@',
    'eyJ',
    '-eyJ',
    ':',
    '::',
    'AB12 ',
    'AB12',
    'DE89-',
    'sk-',
    '1.',
    'Bearer ',
    'token=',
    'token ',
    'sig=',
    '?code=',
    '(',
    '1-',
    '1 2',
    '+(',
    'x1',
    '1x',
    'f:',
    '%',
    'batch_',
    'file-',
    '00-',
    'a1b2c3d4',
    '2030-01-01T',
    '\u0661 ',
    '1\u2013',
  ])('T11 takes time in proportion to the length for many %j', (unit) => {
    const prefixes = ['', 'DE89', 'a@', 'eyJhbGciOi.', 'token', '+49 '];
    const ratios = prefixes.map((prefix) => {
      const short = prefix + unit.repeat(5_000 / unit.length);
      const long = prefix + unit.repeat(50_000 / unit.length);
      redact(short);
      // Below half a millisecond the clock of the processor is too coarse.
      return cpuMsOf(long) / Math.max(cpuMsOf(short), 0.5);
    });

    // Ten times the length; a hundred times the time would be the square of it.
    expect(Math.max(...ratios)).toBeLessThan(60);
  });

  it('T11 takes no longer for the worst field than for a plain one of a hundred times its length', () => {
    const worst = `DE89${' AB1'.repeat(500)}`.slice(0, 2_000);
    const plain = 'a plain text 12 '.repeat(12_500);
    redact(plain);

    expect(cpuMsOf(worst)).toBeLessThan(cpuMsOf(plain));
  });
});
