import { describe, expect, it } from 'vitest';
import { readItems } from '../../../dev/batch/read-items.ts';

describe('readItems', () => {
  it('takes every good line as an item under its own custom_id', () => {
    const { sent, failures } = readItems(lines(item('a'), item('b')));

    expect(sent.map(({ line, customId }) => [line, customId])).toEqual([
      [1, 'a'],
      [2, 'b'],
    ]);
    expect(failures).toEqual([]);
  });

  it('skips blank lines, a byte order mark and Windows line ends, and counts lines as an editor does', () => {
    const { sent, failures } = readItems(Buffer.from(`\uFEFF${item('a')}\r\n\r\n${item('b')}\r\n`));

    expect(sent.map(({ line }) => line)).toEqual([1, 3]);
    expect(failures).toEqual([]);
  });

  it('gives an item without custom_id the number of its line', () => {
    const { sent } = readItems(lines(item('a'), '{"body":{"message":"x"}}'));

    expect(sent[1]).toEqual({
      line: 2,
      customId: 'line-2',
      item: { custom_id: 'line-2', body: { message: 'x' } },
    });
  });

  it('sends a malformed item on, because the service judges items', () => {
    const { sent } = readItems(lines('{"custom_id":"a","bodie":1}'));

    expect(sent[0]?.item).toEqual({ custom_id: 'a', bodie: 1 });
  });

  it.each([
    ['a line that is not JSON', '{"custom_id":', 'invalid_json'],
    ['JSON that is no object', '[1]', 'invalid_item'],
    ['a custom_id that is no text', '{"custom_id":7,"body":{}}', 'invalid_item'],
    ['an empty custom_id', '{"custom_id":"","body":{}}', 'invalid_item'],
  ])('answers %s itself, without stopping the rest', (_case, bad, code) => {
    const { sent, failures } = readItems(lines(item('a'), bad, item('b')));

    expect(sent.map(({ customId }) => customId)).toEqual(['a', 'b']);
    expect(
      failures.map(({ line, customId, result }) => [line, customId, result.error?.code]),
    ).toEqual([[2, 'line-2', code]]);
  });

  it('answers a line that is not UTF-8 itself', () => {
    const content = Buffer.concat([lines(item('a')), Buffer.from([0x0a, 0x22, 0xff, 0x22, 0x0a])]);

    const { failures } = readItems(content);

    expect(failures.map(({ result }) => result.error?.code)).toEqual(['invalid_encoding']);
  });

  it('answers the second of two equal custom_ids under an id that is still free', () => {
    const { sent, failures } = readItems(lines(item('a'), item('a'), item('line-2')));

    const ids = [...sent, ...failures].map(({ customId }) => customId);
    expect(failures.map(({ result }) => result.error?.code)).toEqual(['duplicate_custom_id']);
    expect(ids.toSorted()).toEqual(['a', 'line-2', 'line-2-']);
  });

  it('answers a line here that is longer than the service takes', () => {
    const line = JSON.stringify({ custom_id: 'long', body: { message: 'x'.repeat(1_100_000) } });

    const { sent, failures } = readItems(Buffer.from(`${line}\n`));

    expect(sent).toEqual([]);
    expect(failures[0]?.result).toMatchObject({
      custom_id: 'long',
      error: { code: 'line_too_long' },
    });
  });
});

function item(customId: string): string {
  return JSON.stringify({ custom_id: customId, body: { message: 'hello' } });
}

function lines(...all: string[]): Buffer {
  return Buffer.from(all.join('\n'));
}
