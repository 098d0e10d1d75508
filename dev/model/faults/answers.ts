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

export const replyModels: readonly ScriptedModel[] = [
  {
    name: 'instant',
    description: 'Repeats the text of the user at once, without a delay between tokens.',
    answer: (writer) => sendReply({ ...writer, tokenDelayMs: 0 }),
  },
  {
    name: 'slow',
    parameter: { label: 'ms', kind: 'number' },
    description: 'Waits that long, then answers at once.',
    answer: async (writer, { number }) => {
      await writer.wait(number);
      await sendReply({ ...writer, tokenDelayMs: 0 });
    },
  },
  {
    name: 'long',
    parameter: { label: 'tokens', kind: 'number' },
    description:
      'An answer of that many tokens (at most a million), or of max_tokens if that is less.',
    answer: (writer, { number }) => {
      const text = fillerText(Math.min(number, MAX_LONG_TOKENS));
      return sendReply(writer, fitReply(text, writer.request));
    },
  },
  {
    name: 'bytes',
    parameter: { label: 'bytes', kind: 'number' },
    description: 'That many bytes of text, as fast as the client reads them.',
    answer: (writer, { number }) => sendBytes(writer, number),
  },
  {
    name: 'steady',
    parameter: { label: 'bytes', kind: 'number' },
    description:
      'That many bytes of text, 8 KB every 30 ms: sixty times as fast as a model writes.',
    answer: (writer, { number }) => sendBytes(writer, number, { pauseMs: 30 }),
  },
  {
    name: 'length',
    description: 'A short text with finish_reason length.',
    answer: (writer) => {
      const { text } = composeReply(writer.request);
      const start = splitIntoTokens(text).slice(0, 5).join('');
      return sendReply(writer, { text: start, toolCalls: [], finishReason: 'length' });
    },
  },
  {
    name: 'tool-loop',
    description: 'Calls the first tool of the request again and again, and never answers.',
    answer: (writer) => {
      const [tool] = writer.request.tools;
      if (tool === undefined)
        throw new ApiError(400, 'This model needs a tool', { param: 'tools' });
      const id = `call_dev_${writer.request.messages.length}_0`;
      const toolCalls = [{ id, ...withDefaults(tool) }];
      return sendReply(writer, { text: '', toolCalls, finishReason: 'tool_calls' });
    },
  },
  {
    name: 'unknown-tool',
    description: 'Calls a tool that the request does not have, then answers.',
    answer: (writer) => {
      if (writer.request.messages.at(-1)?.role === 'tool') return sendReply(writer);
      const toolCalls = [{ id: 'call_dev_unknown', name: 'no_such_tool', arguments: '{}' }];
      return sendReply(writer, { text: '', toolCalls, finishReason: 'tool_calls' });
    },
  },
  {
    name: 'wrong-arguments',
    description: 'Calls the first tool of the request with a text that is not JSON, then answers.',
    answer: (writer) => {
      const [tool] = writer.request.tools;
      if (writer.request.messages.at(-1)?.role === 'tool' || tool === undefined) {
        return sendReply(writer);
      }
      const toolCalls = [{ id: 'call_dev_wrong', name: tool.name, arguments: '{"wrong": ' }];
      return sendReply(writer, { text: '', toolCalls, finishReason: 'tool_calls' });
    },
  },
  {
    name: 'wrong-json',
    description: 'JSON that does not match the schema of the request.',
    answer: (writer) => {
      const text = JSON.stringify({ wrong: 'development model' });
      return sendReply(writer, { text, toolCalls: [], finishReason: 'stop' });
    },
  },
];

/** Sends a text of any size without ever holding all of it in memory. */
export async function sendBytes(
  writer: ResponseWriter,
  bytes: number,
  { pauseMs = 0 }: { readonly pauseMs?: number } = {},
): Promise<void> {
  const { call, request } = writer;
  const piece = fillerText(PIECE_BYTES / 4);
  const tokenCount = Math.ceil(bytes / 4);
  const reply: Reply = { text: MARK, toolCalls: [], tokenCount, finishReason: 'stop' };
  const before = request.stream ? openingChunks(writer).join('') : '';
  const wholeEvent = deltaEvent(writer, { content: piece });
  const [head = '', tail = ''] = JSON.stringify(completion(writer, reply)).split(MARK);

  openAnswer(writer);
  await writer.write(request.stream ? before : head);
  for (let left = Math.floor(bytes); left > 0; left -= piece.length) {
    const text = left < piece.length ? piece.slice(0, left) : piece;
    const streamed = text === piece ? wholeEvent : deltaEvent(writer, { content: text });
    await writer.write(request.stream ? streamed : text);
    call.tokensSent += 1;
    await writer.pace(pauseMs);
  }
  await writer.write(request.stream ? closingEvents(writer, reply) : tail);
  writer.end();
}
