import { describe, expect, it } from 'vitest';
import { LEAKS } from '../../../dev/model/faults/leaks.ts';
import {
  createCanary,
  createMarker,
  isUsableCanary,
  MAX_BUFFERED_CANARY_CHARS,
} from '../../../shared/guardrails/canary.ts';

const MARKER = createMarker();
const PROMPT =
  'You work for the shop. Answer politely, name no other shop, and give no discount above ten per cent.';
const canary = createCanary({ texts: [MARKER, 'Project Bluebird'], prompt: PROMPT });

/** Whether a text is found, and what of it was safe to send before. */
function scan(text: string, chunkChars = 3) {
  const running = canary.startScan();
  let read = '';
  let safe = '';
  for (const chunk of text.match(new RegExp(`[^]{1,${chunkChars}}`, 'g')) ?? []) {
    read += chunk;
    if (running.push(chunk)) return { isFound: true, safe };
    safe = read.slice(0, running.safeLength());
  }
  return { isFound: false, safe };
}

describe('createCanary', () => {
  it.each(Object.entries(LEAKS))('finds the marker written as %s', (_way, encode) => {
    expect(scan(`Here: ${encode(MARKER)} .`).isFound).toBe(true);
    expect(scan(`Here: ${encode(MARKER)} .`, 10_000).isFound).toBe(true);
  });

  it.each(['plain', 'reversed', 'spaced', 'base64', 'hex', 'rot13', 'decimal', 'escapes'])(
    'lets nothing of the marker pass before it is found, written as %s',
    (way) => {
      const { safe } = scan(`Here it comes: ${LEAKS[way]?.(MARKER) ?? ''}`, 1);

      expect(safe.length).toBeLessThanOrEqual('Here it comes: \\u'.length);
    },
  );

  it.each([
    ['Project Bluebird', true],
    ['it is p.r.o.j.e.c.t b-l-u-e-b-i-r-d', true],
    ['UHJvamVjdCBCbHVlYmlyZA==', true],
    ['\u0440roject bluebird', true],
    ['\u{E0070}\u{E0072}\u{E006F}\u{E006A}\u{E0065}\u{E0063}\u{E0074}\u{E0062}\u{E006C}', true],
    ['A bird of the project sings the blues', false],
  ])('finds the text of a team in %j: %s', (text, isFound) => {
    expect(scan(text).isFound).toBe(isFound);
    expect(scan(text, 1).isFound).toBe(isFound);
  });

  it('finds a passage of the prompt, but no short part of it', () => {
    const passage = 'I must answer politely, name no other shop and give no discount above ten.';

    expect(scan(passage).isFound).toBe(true);
    expect(scan(Buffer.from(PROMPT).toString('base64')).isFound).toBe(true);
    expect(scan('I cannot give a discount above ten per cent, sorry.').isFound).toBe(false);
  });

  it('finds nothing in prose and code, and holds little of them back', () => {
    const prose =
      'const total = items.reduce((sum, { price }) => sum + price, 0); // 1,234.56 EUR\n';
    const running = canary.startScan();
    const buffered: number[] = [];
    let length = 0;
    for (let count = 0; count < 200; count += 1) {
      length += prose.length;
      expect(running.push(prose)).toBe(false);
      buffered.push(length - running.safeLength());
    }

    expect(Math.max(...buffered)).toBeLessThan(200);
  });

  it('never holds back more than its bound', () => {
    const running = canary.startScan();
    const text = 'q'.padEnd(50_000, ' ');

    running.push(text);

    expect(text.length - running.safeLength()).toBeLessThanOrEqual(MAX_BUFFERED_CANARY_CHARS);
  });

  it.each(['b', 'bcdf', '63 ', '.-', 'QmNk'])(
    'takes time in proportion to the length for many %j',
    (unit) => {
      const timeOf = (length: number): number => {
        const text = unit.repeat(length / unit.length);
        const running = canary.startScan();
        const before = process.cpuUsage();
        running.push(text);
        const { user, system } = process.cpuUsage(before);
        return user + system;
      };
      timeOf(20_000);

      // Ten times the length; a hundred times the time would be the square of it.
      expect(timeOf(200_000) / Math.max(timeOf(20_000), 1_000)).toBeLessThan(60);
    },
  );

  it('needs six letters or digits', () => {
    expect(['abc-123', 'abc-12'].map(isUsableCanary)).toEqual([true, false]);
  });
});
