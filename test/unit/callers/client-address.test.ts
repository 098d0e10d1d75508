import { describe, expect, it } from 'vitest';
import { clientAddress, normalizeAddress } from '../../../shared/callers/caller.ts';

const RULES = { ipv6PrefixBits: 56 };

describe('the address of a client', () => {
  it.each([
    ['203.0.113.7', '203.0.113.7'],
    [' 203.0.113.7:51234 ', '203.0.113.7'],
    ['::ffff:203.0.113.7', '203.0.113.7'],
    ['[::ffff:cb00:7107]:443', '203.0.113.7'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1::/56'],
    ['[2001:db8:1:2::1]:443', '2001:db8:1::/56'],
    ['[2001:DB8:0001:2::1]', '2001:db8:1::/56'],
    ['2001:db8::1', '2001:db8::/56'],
    ['fe80::1%eth0', 'fe80::/56'],
    ['::1', '::/56'],
    ['2001:db8:1:2:3:4:203.0.113.7', '2001:db8:1::/56'],
  ])('reads %j as %j', (text, expected) => {
    expect(normalizeAddress(text, RULES)).toBe(expected);
  });

  it.each([
    '',
    'unknown',
    'localhost',
    '203.0.113',
    '203.0.113.256',
    '0203.0.113.7',
    '203.0.113.7:port',
    '203.0.113.7:1:2',
    '[203.0.113.7]x',
    '2001:db8::1::2',
    '[2001:db8::1',
    '1'.repeat(10_000),
    '<script>',
  ])('treats %j as unknown', (text) => {
    expect(normalizeAddress(text, RULES)).toBe('unknown');
  });

  it('R5 is the last forwarded one, whatever the client wrote before it', () => {
    const forged = ['1.1.1.1, 203.0.113.7:80', 'x, y,203.0.113.7', ',,, 203.0.113.7'];

    const addresses = forged.map((header) =>
      clientAddress(header, { ...RULES, proxiesInFront: 0 }),
    );

    expect(new Set(addresses)).toEqual(new Set(['203.0.113.7']));
  });

  it('R5 is the one before our own proxies', () => {
    const header = '1.1.1.1, 203.0.113.7, 10.0.0.1';

    expect(clientAddress(header, { ...RULES, proxiesInFront: 1 })).toBe('203.0.113.7');
    expect(clientAddress(header, { ...RULES, proxiesInFront: 5 })).toBe('unknown');
    expect(clientAddress(undefined, { ...RULES, proxiesInFront: 0 })).toBe('unknown');
  });

  it.each([
    [64, '2001:db8:1:2::/64'],
    [48, '2001:db8:1::/48'],
    [128, '2001:db8:1:2:3:4:5:6/128'],
  ])('T7: counts by the prefix of the setting, such as /%i', (ipv6PrefixBits, expected) => {
    expect(normalizeAddress('2001:db8:1:2:3:4:5:6', { ipv6PrefixBits })).toBe(expected);
  });

  it('R5 does not change when a client moves within its network', () => {
    const addresses = Array.from({ length: 1_000 }, (_, index) =>
      clientAddress(`2001:db8:1:${(index % 256).toString(16)}:${index.toString(16)}::1`, {
        ...RULES,
        proxiesInFront: 0,
      }),
    );

    expect(new Set(addresses).size).toBe(1);
  });
});
