import type { EventSourceMessage } from 'eventsource-parser';
import { describe, expect, it } from 'vitest';
import { createEventParser } from '../../../../shared/model/openai/read-stream.ts';

const MAX_LINE_BYTES = 1_000;
const encoder = new TextEncoder();

function parse(...chunks: (string | Uint8Array)[]): EventSourceMessage[] {
  const parser = createEventParser(MAX_LINE_BYTES);
  const events = chunks.flatMap((chunk) =>
    Array.from(parser.feed(typeof chunk === 'string' ? encoder.encode(chunk) : chunk)),
  );
  if (parser.hasOverflowed()) throw new RangeError('overflow');
  return events;
}

function dataOf(events: readonly EventSourceMessage[]): string[] {
  return events.map(({ data }) => data);
}

describe('U15 event stream parser', () => {
  it.each([
    ['line feeds', 'data: a\n\ndata: b\n\n'],
    ['CRLF', 'data: a\r\n\r\ndata: b\r\n\r\n'],
    ['CR', 'data: a\r\rdata: b\r\r'],
    ['a mix', 'data: a\r\n\ndata: b\n\r'],
    ['no space after the colon', 'data:a\n\ndata:b\n\n'],
    ['a byte order mark', '\uFEFFdata: a\n\ndata: b\n\n'],
    ['comments', ': ping\n\ndata: a\n:\n\n: ping\n\ndata: b\n\n'],
    ['unknown fields', 'id: 7\nretry: 10\ndata: a\nfoo\n\nbar: x\ndata: b\n\n'],
    ['blank lines in a row', '\n\n\ndata: a\n\n\n\ndata: b\n\n'],
  ])('reads events with %s, whole or cut into single bytes', (_name, text) => {
    const bytes = encoder.encode(text);

    const whole = parse(bytes);
    const cut = parse(...Array.from(bytes, (byte) => Uint8Array.of(byte)));

    expect(dataOf(whole)).toEqual(['a', 'b']);
    expect(cut).toEqual(whole);
  });

  it('joins characters that were split between chunks', () => {
    const bytes = encoder.encode('data: Grüße 🦊\n\n');

    const events = parse(...Array.from(bytes, (byte) => Uint8Array.of(byte)));

    expect(dataOf(events)).toEqual(['Grüße 🦊']);
  });

  it('joins several data lines of one event with line feeds', () => {
    expect(dataOf(parse('data: {"a":\ndata\ndata: 1}\n\n'))).toEqual(['{"a":\n\n1}']);
  });

  it('keeps the name of an event for that event only', () => {
    expect(parse('event: error\ndata: x\n\ndata: y\n\n')).toEqual([
      { event: 'error', data: 'x' },
      { event: undefined, data: 'y' },
    ]);
  });

  it('drops an event that the end of the connection left without its blank line', () => {
    expect(dataOf(parse('data: a\n\ndata: b\n'))).toEqual(['a']);
  });

  it('removes one space after the colon and no more', () => {
    expect(dataOf(parse('data:  a \n\n'))).toEqual([' a ']);
  });

  it.each([
    ['a line without an end', ['data: ', ...Array.from({ length: 50 }, () => 'x'.repeat(100))]],
    ['a line with an end', [`data: ${'x'.repeat(2_000)}\n\n`]],
    ['an event of many short lines', [`data: ${'x'.repeat(90)}\n`.repeat(20)]],
  ])('refuses %s that is over the cap', (_name, chunks) => {
    expect(() => parse(...chunks)).toThrow('overflow');
  });

  it('keeps the events before the one that is over the cap', () => {
    const parser = createEventParser(MAX_LINE_BYTES);
    const bytes = encoder.encode(`data: a\n\ndata: ${'x'.repeat(2_000)}\n\ndata: b\n\n`);

    const events = parser.feed(bytes);

    expect(dataOf(events)).toEqual(['a']);
    expect(parser.hasOverflowed()).toBe(true);
    expect(parser.feed(encoder.encode('data: c\n\n'))).toEqual([]);
  });

  it('discards comments and unknown fields of any length', () => {
    const long = 'x'.repeat(5_000);

    expect(dataOf(parse(`:${long}`, `${long}\n`, `${long}: 1\ndata: a\n\n`))).toEqual(['a']);
  });

  it('takes lines up to the cap, however many', () => {
    const line = `data: ${'x'.repeat(MAX_LINE_BYTES - 6)}\n\n`;

    expect(parse(line.repeat(50))).toHaveLength(50);
  });

  it('reads 10,000 random streams the same way however the network cut them', () => {
    const pieces = ['data: ', 'data:', ':', '\n', '\r', '\r\n', '\n\n', 'event: x', 'é', '🦊', 'a'];
    let seed = 7;
    function below(limit: number): number {
      seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
      return Math.floor((seed / 2 ** 32) * limit);
    }

    for (let run = 0; run < 10_000; run += 1) {
      const text = Array.from({ length: below(30) }, () => pieces[below(pieces.length)]).join('');
      const bytes = encoder.encode(text);
      const cut = below(bytes.length + 1);

      expect(parse(bytes.subarray(0, cut), bytes.subarray(cut))).toEqual(parse(bytes));
    }
  });

  it('survives 10,000 chunks of random bytes', () => {
    let seed = 11;
    const bytes = Uint8Array.from({ length: 64 });

    for (let run = 0; run < 10_000; run += 1) {
      for (let i = 0; i < bytes.length; i += 1) {
        seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
        bytes[i] = seed >>> 24;
      }
      expect(Array.isArray(parse(bytes))).toBe(true);
    }
  });
});
