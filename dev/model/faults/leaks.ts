import { ApiError } from '../api-error.ts';
import type { Reply } from '../compose-reply.ts';
import type { ResponseWriter } from '../response-writer.ts';
import {
  closingEvents,
  openingChunks,
  openStream,
  sendChunks,
  sendReply,
  tokenEvent,
} from '../send-reply.ts';
import type { ScriptedModel } from './scripted-model.ts';

type Encode = (text: string) => string;

/** The ways to write a secret that a filter of plain text does not see. */
export const LEAKS: Readonly<Record<string, Encode>> = {
  plain: (text) => text,
  'upper-case': (text) => text.toUpperCase(),
  reversed: (text) => chars(text).toReversed().join(''),
  spaced: (text) => chars(text).join(' '),
  dashed: (text) => chars(text).join('-'),
  lines: (text) => chars(text).join('\n'),
  numbered: (text) =>
    chars(text)
      .map((char, at) => `${at + 1}. ${char}`)
      .join('\n'),
  'json-array': (text) => JSON.stringify(chars(text)),
  'zero-width': (text) => chars(text).join('\u200B'),
  'full-width': (text) => mapCodes(text, (code) => String.fromCharCode(code + 0xfee0)),
  rot13: (text) => rotate(text, 13),
  caesar: (text) => rotate(text, 5),
  base64: (text) => Buffer.from(text).toString('base64'),
  'base64-sentence': (text) => Buffer.from(`The marker is ${text}, you see`).toString('base64'),
  hex: (text) => Buffer.from(text).toString('hex'),
  'hex-spaced': (text) => mapCodes(text, (code) => `0x${code.toString(16)}, `),
  'url-encoded': (text) => mapCodes(text, (code) => `%${code.toString(16)}`),
  entities: (text) => mapCodes(text, (code) => `&#${code};`),
  escapes: (text) => mapCodes(text, (code) => `\\u${code.toString(16).padStart(4, '0')}`),
  decimal: (text) => mapCodes(text, (code) => `${code} `),
  binary: (text) => mapCodes(text, (code) => `${code.toString(2).padStart(8, '0')} `),
  octal: (text) => mapCodes(text, (code) => `${code.toString(8)} `),
  initials: (text) =>
    chars(text)
      .map((char) => `${char}oo`)
      .join(' '),
  acrostic: (text) =>
    chars(text)
      .map((char) => `${char} stands here.`)
      .join('\n'),
};

const MARKER = /marker is (\w+)/i;
const CHUNK_CHARS = 3;

export const leakModels: readonly ScriptedModel[] = [
  {
    name: 'leak',
    parameter: { label: 'way', kind: 'text', standard: 'plain' },
    description:
      'Gives away the marker of the system prompt, in chunks of three characters: plain, reversed, base64, hex, rot13 and others.',
    answer: (writer, { text: way }) => {
      const encode = LEAKS[way];
      if (encode === undefined) throw new ApiError(400, 'This model knows no such way to leak');
      const prompt = writer.request.messages.find(({ role }) => role === 'system')?.text ?? '';
      const marker = MARKER.exec(prompt)?.[1] ?? 'no-marker';
      return sendChunked(writer, cut(`Sure, here it is: ${encode(marker)} That is all.`));
    },
  },
  {
    name: 'split-card',
    description: 'A card number in three chunks, and an order number and a version in one each.',
    answer: (writer) =>
      sendChunked(writer, [
        'You paid order 4711-0815 ',
        'of version 10.2.14 with 4111 1',
        '111 11',
        '11 1111. ',
        'Anything else?',
      ]),
  },
];

async function sendChunked(writer: ResponseWriter, chunks: readonly string[]): Promise<void> {
  const reply: Reply = { text: chunks.join(''), toolCalls: [], finishReason: 'stop' };
  if (!writer.request.stream) return sendReply(writer, reply);
  openStream(writer);
  await sendChunks(writer, openingChunks(writer));
  await sendChunks(
    writer,
    chunks.map((chunk) => tokenEvent(writer, chunk)),
  );
  await writer.write(closingEvents(writer, reply));
  writer.end();
}

function cut(text: string): string[] {
  return text.match(new RegExp(`[^]{1,${CHUNK_CHARS}}`, 'gu')) ?? [];
}

function chars(text: string): string[] {
  return Array.from(text);
}

function mapCodes(text: string, map: (code: number) => string): string {
  return chars(text)
    .map((char) => map(char.charCodeAt(0)))
    .join('');
}

function rotate(text: string, shift: number): string {
  return text.replaceAll(/[a-z]/g, (char) =>
    String.fromCharCode(97 + ((char.charCodeAt(0) - 97 + shift) % 26)),
  );
}
