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
    answer: async (exchange) => {
      await sendBeginning(exchange, 3);
      await exchange.write('data: {"choices":[{"delta":{"content":"NEVER-LOG-THIS-CHUNK\n\n');
      await exchange.write(closingEvents(exchange, composeReply(exchange.request)));
      exchange.end();
    },
  }),
  streamOnly({
    name: 'sse-long-line',
    parameter: { label: 'bytes', kind: 'number', standard: String(LONG_LINE_BYTES) },
    description: 'Three tokens, then one line of that many bytes (10 MiB).',
    answer: async (exchange, { number }) => {
      await sendBeginning(exchange, 3);
      const [head = '', tail = ''] = deltaEvent(exchange, { content: '(text)' }).split('(text)');
      const piece = fillerText(16_384);
      await exchange.write(head);
      for (let sent = 0; sent < number; sent += piece.length) await exchange.write(piece);
      await exchange.write(tail + closingEvents(exchange, composeReply(exchange.request)));
      exchange.end();
    },
  }),
  streamOnly({
    name: 'sse-crlf',
    description: 'A valid stream whose events end in CRLF, CR and LF by turns.',
    answer: (exchange) =>
      sendEvents(exchange, (event, index) => event.replaceAll('\n', LINE_ENDS[index % 3] ?? '\n')),
  }),
  streamOnly({
    name: 'sse-bom',
    description: 'A valid stream that starts with a byte order mark.',
    answer: (exchange) =>
      sendEvents(exchange, (event, index) => (index === 0 ? `\uFEFF${event}` : event)),
  }),
  streamOnly({
    name: 'sse-split-utf8',
    description: 'A valid stream of many-byte text, in writes of three bytes.',
    answer: async (exchange) => {
      const { text } = composeReply(exchange.request);
      const reply = fitReply(text + MANY_BYTE_TEXT, exchange.request);
      const bytes = Buffer.from(streamEvents(exchange, reply).join(''));
      openStream(exchange);
      for (let at = 0; at < bytes.length; at += SPLIT_BYTES) {
        await exchange.write(bytes.subarray(at, at + SPLIT_BYTES));
        // Every write must leave alone, or the socket joins them again.
        await new Promise((resolve) => setImmediate(resolve));
      }
      exchange.end();
    },
  }),
  streamOnly({
    name: 'sse-comments',
    description:
      'A valid stream with comments, unknown fields and events, and data over two lines.',
    answer: (exchange) => sendEvents(exchange, decorate),
  }),
];

/** A fault of streams is none for a caller who asked for a whole answer. */
function streamOnly(model: ScriptedModel): ScriptedModel {
  return {
    ...model,
    answer: (exchange, parameter) =>
      exchange.request.stream ? model.answer(exchange, parameter) : sendReply(exchange),
  };
}

async function sendEvents(
  exchange: ResponseWriter,
  reshape: (event: string, index: number) => string,
): Promise<void> {
  openStream(exchange);
  // The closing events travel as one text: taken apart, so that each is reshaped.
  const events = streamEvents(exchange, composeReply(exchange.request))
    .join('')
    .split(/(?<=\n\n)/);
  await sendChunks(exchange, events.map(reshape));
  exchange.end();
}

function decorate(event: string, index: number): string {
  const noise = [
    ': a comment\n\n',
    'event: weather\ndata: {"type":"weather"}\n\n',
    'id: 7\nretry: 3000\nunknown: field\n',
    ':\n\n',
  ];
  // A line break between two members is white space to JSON.
  const split = event.replace(/^data: (\{[^,]*,)/, 'data: $1\ndata:');
  return `${noise[index % noise.length] ?? ''}${split}`;
}
