import { composeReply, fitReply } from '../compose-reply.ts';
import type { ResponseWriter } from '../response-writer.ts';
import {
  closingEvents,
  deltaEvent,
  openStream,
  sendChunks,
  sendReply,
  streamEvents,
} from '../send-reply.ts';
import { sendBeginning } from './connections.ts';
import { fillerText } from './filler.ts';
import type { ScriptedModel } from './scripted-model.ts';

const LONG_LINE_BYTES = 10 * 1024 * 1024;
const LINE_ENDS = ['\r\n', '\r', '\n'] as const;
const MANY_BYTE_TEXT = ' | zażółć 漢字 العربية 👩‍👩‍👧 é';
const SPLIT_BYTES = 3;

export const streamShapeModels: readonly ScriptedModel[] = [
  streamOnly({
    name: 'sse-bad-json',
    description: 'Three tokens, then an event that is not JSON.',
    answer: async (writer) => {
      await sendBeginning(writer, 3);
      await writer.write('data: {"choices":[{"delta":{"content":"NEVER-LOG-THIS-CHUNK\n\n');
      await writer.write(closingEvents(writer, composeReply(writer.request)));
      writer.end();
    },
  }),
  streamOnly({
    name: 'sse-long-line',
    parameter: { label: 'bytes', kind: 'number', standard: String(LONG_LINE_BYTES) },
    description: 'Three tokens, then one line of that many bytes (10 MiB).',
    answer: async (writer, { number }) => {
      await sendBeginning(writer, 3);
      const [head = '', tail = ''] = deltaEvent(writer, { content: '(text)' }).split('(text)');
      const piece = fillerText(16_384);
      await writer.write(head);
      for (let sent = 0; sent < number; sent += piece.length) await writer.write(piece);
      await writer.write(tail + closingEvents(writer, composeReply(writer.request)));
      writer.end();
    },
  }),
  streamOnly({
    name: 'sse-crlf',
    description: 'A valid stream whose events end in CRLF, CR and LF in turn.',
    answer: (writer) =>
      sendEvents(writer, (event, index) => event.replaceAll('\n', LINE_ENDS[index % 3] ?? '\n')),
  }),
  streamOnly({
    name: 'sse-bom',
    description: 'A valid stream that starts with a byte order mark.',
    answer: (writer) =>
      sendEvents(writer, (event, index) => (index === 0 ? `\uFEFF${event}` : event)),
  }),
  streamOnly({
    name: 'sse-split-utf8',
    description: 'A valid stream of text with multi-byte characters, in writes of three bytes.',
    answer: async (writer) => {
      const { text } = composeReply(writer.request);
      const reply = fitReply(text + MANY_BYTE_TEXT, writer.request);
      const bytes = Buffer.from(streamEvents(writer, reply).join(''));
      openStream(writer);
      for (let at = 0; at < bytes.length; at += SPLIT_BYTES) {
        await writer.write(bytes.subarray(at, at + SPLIT_BYTES));
        // Every write must be sent alone, or the socket joins them again.
        await new Promise((resolve) => setImmediate(resolve));
      }
      writer.end();
    },
  }),
  streamOnly({
    name: 'sse-comments',
    description:
      'A valid stream with comments, unknown fields and events, and data over two lines.',
    answer: (writer) => sendEvents(writer, decorate),
  }),
];

/** A fault of streams does not apply to a request without streaming. */
function streamOnly(model: ScriptedModel): ScriptedModel {
  return {
    ...model,
    answer: (writer, parameter) =>
      writer.request.stream ? model.answer(writer, parameter) : sendReply(writer),
  };
}

async function sendEvents(
  writer: ResponseWriter,
  reshape: (event: string, index: number) => string,
): Promise<void> {
  openStream(writer);
  // The closing events are one text: split, so that each is changed.
  const events = streamEvents(writer, composeReply(writer.request))
    .join('')
    .split(/(?<=\n\n)/);
  await sendChunks(writer, events.map(reshape));
  writer.end();
}

function decorate(event: string, index: number): string {
  const noise = [
    ': a comment\n\n',
    'event: weather\ndata: {"type":"weather"}\n\n',
    'id: 7\nretry: 3000\nunknown: field\n',
    ':\n\n',
  ];
  // A line break between two members is white space in JSON.
  const split = event.replace(/^data: (\{[^,]*,)/, 'data: $1\ndata:');
  return `${noise[index % noise.length] ?? ''}${split}`;
}
