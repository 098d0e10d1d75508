import { describe, expect, it } from 'vitest';
import { MAX_LINE_BYTES } from '../../../../shared/batch/input-limits.ts';
import { parseLine, readLines } from '../../../../shared/batch/model/jsonl.ts';

async function* chunksOf(content: Uint8Array, size = content.byteLength) {
  for (let at = 0; at < content.byteLength; at += size) yield content.subarray(at, at + size);
}

async function read(
  content: Uint8Array,
  { size, max = 100 }: { size?: number; max?: number } = {},
) {
  const groups = await Array.fromAsync(readLines(chunksOf(content, size), { maxLineBytes: max }));
  return {
    lineCount: groups.at(-1)?.lineCount ?? 0,
    lines: groups
      .flatMap(({ lines }) => lines)
      .map(({ number, start, end, bytes }) => ({
        number,
        text: bytes === undefined ? undefined : Buffer.from(bytes).toString('utf8'),
        source: content.subarray(start, end).toString(),
      })),
  };
}

const TEXT = Buffer.from('\n{"a":1}\r\n \t\r\n\n{"b":"ä\u2028"}\n\n\nlast');

describe('readLines', () => {
  it.each([1, 2, 3, 7, 1_000])('finds the same lines in chunks of %i bytes', async (size) => {
    const { lines, lineCount } = await read(TEXT, { size });

    expect(lines.map(({ number, text }) => [number, text])).toEqual([
      [2, '{"a":1}\r'],
      [5, '{"b":"ä\u2028"}'],
      [8, 'last'],
    ]);
    expect(lineCount).toBe(8);
  });

  it.each([1, 5, 1_000])('reports the bytes of each line in chunks of %i bytes', async (size) => {
    const { lines } = await read(TEXT, { size });

    const whole = await read(TEXT);
    expect(lines).toEqual(whole.lines);
    for (const { text, source } of lines) expect(source.replace(/\n$/, '')).toBe(text);
  });

  it('discards the bytes of a line that is too long and continues', async () => {
    const { lines } = await read(Buffer.from(`${'x'.repeat(101)}\nok\n`), { size: 10 });

    expect(lines.map(({ text }) => text)).toEqual([undefined, 'ok']);
  });

  it('counts blank lines of any number without a line for each', async () => {
    const { lines, lineCount } = await read(Buffer.alloc(3_000_000, '\n'));

    expect(lines).toEqual([]);
    expect(lineCount).toBe(3_000_000);
  });
});

describe('parseLine', () => {
  it.each([
    ['an object', '{"a":[1,"\\"[,"]}'],
    ['a line with a carriage return', '{"a":1}\r'],
  ])('accepts %s', (_what, text) => {
    expect(parseLine(Buffer.from(text))).toEqual({ value: JSON.parse(text) });
  });

  it.each([
    ['text that is not JSON', '{"a":'],
    ['a lone surrogate', '{"a":"\\ud800"}'],
    ['a key twice in one object', '{"a":1,"a":2}'],
    ['deep nesting', `${'['.repeat(40)}${']'.repeat(40)}`],
    ['a number that overflows', '{"a":1e999}'],
    ['more values than an item has', `[${'[],'.repeat(60_000)}[]]`],
  ])('D18: refuses %s, as chat does', (_what, text) => {
    expect(parseLine(Buffer.from(text))).toBe('invalid');
  });

  it('D18: refuses bytes that are not UTF-8', () => {
    expect(parseLine(Buffer.from([0x22, 0xff, 0x22]))).toBe('invalid');
  });

  it('T1: takes no longer for the worst line than for a plain one of that length', () => {
    const plain = Buffer.from(`{"a":"${'x'.repeat(MAX_LINE_BYTES - 8)}"}`);
    const worst = Buffer.from(`{"a":[${'[],'.repeat(MAX_LINE_BYTES / 3 - 8)}[]]}`);
    const timeOf = (line: Uint8Array): number => {
      const times = Array.from({ length: 7 }, () => {
        const startedAt = performance.now();
        parseLine(line);
        return performance.now() - startedAt;
      });
      return Math.min(...times);
    };

    const ratio = timeOf(worst) / timeOf(plain);

    expect(ratio).toBeLessThan(3);
  });
});
