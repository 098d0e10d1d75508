import { fitReply, composeReply, splitIntoTokens, type Reply } from '../compose-reply.ts';
import { ApiError } from '../api-error.ts';
import type { ResponseWriter } from '../response-writer.ts';
import { withDefaults } from '../requested-tool-calls.ts';
import {
  closingEvents,
  completion,
  deltaEvent,
  openAnswer,
  openingChunks,
  sendReply,
} from '../send-reply.ts';
import { fillerText } from './filler.ts';
import type { ScriptedModel } from './scripted-model.ts';

const PIECE_BYTES = 8192;
const MARK = '(text)';
const MAX_LONG_TOKENS = 1_000_000;

export const answerModels: readonly ScriptedModel[] = [
  {
    name: 'instant',
    description: 'Repeats what you said at once, with no pause between tokens.',
    answer: (exchange) => sendReply({ ...exchange, tokenDelayMs: 0 }),
  },
  {
    name: 'slow',
    parameter: { label: 'ms', kind: 'number' },
    description: 'Waits that long, then answers at once.',
    answer: async (exchange, { number }) => {
      await exchange.wait(number);
      await sendReply({ ...exchange, tokenDelayMs: 0 });
    },
  },
  {
    name: 'long',
    parameter: { label: 'tokens', kind: 'number' },
    description:
      'An answer of that many tokens (at most a million), or of max_tokens if that is less.',
    answer: (exchange, { number }) => {
      const text = fillerText(Math.min(number, MAX_LONG_TOKENS));
      return sendReply(exchange, fitReply(text, exchange.request));
    },
  },
  {
    name: 'bytes',
    parameter: { label: 'bytes', kind: 'number' },
    description: 'That many bytes of text, as fast as the reader takes them.',
    answer: (exchange, { number }) => sendBytes(exchange, number),
  },
  {
    name: 'length',
    description: 'A short text with finish_reason length.',
    answer: (exchange) => {
      const { text } = composeReply(exchange.request);
      const start = splitIntoTokens(text).slice(0, 5).join('');
      return sendReply(exchange, { text: start, toolCalls: [], finishReason: 'length' });
    },
  },
  {
    name: 'tool-loop',
    description: 'Calls the first tool it is given, again and again, and never answers.',
    answer: (exchange) => {
      const [tool] = exchange.request.tools;
      if (tool === undefined)
        throw new ApiError(400, 'This model needs a tool', { param: 'tools' });
      const id = `call_dev_${exchange.request.messages.length}_0`;
      const toolCalls = [{ id, ...withDefaults(tool) }];
      return sendReply(exchange, { text: '', toolCalls, finishReason: 'tool_calls' });
    },
  },
];

/** Sends a text of any size without ever holding it whole. */
export async function sendBytes(exchange: ResponseWriter, bytes: number): Promise<void> {
  const { call, request } = exchange;
  const piece = fillerText(PIECE_BYTES / 4);
  const tokenCount = Math.ceil(bytes / 4);
  const reply: Reply = { text: MARK, toolCalls: [], tokenCount, finishReason: 'stop' };
  const before = request.stream ? openingChunks(exchange).join('') : '';
  const wholeEvent = deltaEvent(exchange, { content: piece });
  const [head = '', tail = ''] = JSON.stringify(completion(exchange, reply)).split(MARK);

  openAnswer(exchange);
  await exchange.write(request.stream ? before : head);
  for (let left = Math.floor(bytes); left > 0; left -= piece.length) {
    const text = left < piece.length ? piece.slice(0, left) : piece;
    const streamed = text === piece ? wholeEvent : deltaEvent(exchange, { content: text });
    await exchange.write(request.stream ? streamed : text);
    call.tokensSent += 1;
  }
  await exchange.write(request.stream ? closingEvents(exchange, reply) : tail);
  exchange.end();
}
