import { composeReply, type Reply } from '../compose-reply.ts';
import type { ResponseWriter } from '../response-writer.ts';
import {
  completion,
  event,
  finishEvents,
  openAnswer,
  openStream,
  openingChunks,
  sendChunks,
  sendReply,
  streamEvents,
} from '../send-reply.ts';
import { fillerText, fillerTokens } from './filler.ts';
import { failThenReply, type ScriptedModel } from './scripted-model.ts';

const MARK = '(text)';
const AFTER = { label: 'tokens', kind: 'number', standard: '3' } as const;

export const connectionModels: readonly ScriptedModel[] = [
  {
    name: 'reset',
    description: 'The connection is reset before any header.',
    answer: (writer) => writer.cut(),
  },
  {
    name: 'reset-then-ok',
    parameter: { label: 'times', kind: 'number', standard: '1' },
    description: 'That many resets before any header, then answers.',
    answer: (writer, { number }) =>
      failThenReply(writer, { times: number, fail: () => writer.cut() }),
  },
  {
    name: 'cut',
    parameter: AFTER,
    description: 'The connection is reset after that many tokens.',
    answer: async (writer, { number }) => {
      await sendBeginning(writer, number);
      await writer.cut();
    },
  },
  {
    name: 'cut-then-ok',
    parameter: AFTER,
    description: 'One stream is reset after that many tokens (0: before the first), then answers.',
    answer: (writer, { number }) =>
      failThenReply(writer, {
        times: 1,
        fail: async () => {
          await sendBeginning(writer, number);
          await writer.cut();
        },
      }),
  },
  {
    name: 'fin',
    parameter: AFTER,
    description:
      'A normal end of the connection after that many tokens, without finish_reason and [DONE].',
    answer: async (writer, { number }) => {
      await sendBeginning(writer, number);
      writer.endUnfinished();
    },
  },
  {
    name: 'no-done',
    description: 'A complete answer with finish_reason, but no [DONE].',
    answer: async (writer) => {
      const reply = composeReply(writer.request);
      if (!writer.request.stream) return sendReply(writer, reply);
      openStream(writer);
      await sendChunks(writer, streamEvents(writer, reply).slice(0, -1));
      await writer.write(finishEvents(writer, reply));
      writer.end();
    },
  },
  {
    name: 'empty-stream',
    description: 'A stream without any event.',
    answer: sendNothing,
  },
  {
    name: 'empty-stream-then-ok',
    parameter: { label: 'times', kind: 'number', standard: '1' },
    description: 'That many empty streams, then answers.',
    answer: (writer, { number }) =>
      failThenReply(writer, { times: number, fail: () => sendNothing(writer) }),
  },
  {
    name: 'error-in-stream',
    parameter: AFTER,
    description: 'An error event after that many tokens, then the end.',
    answer: async (writer, { number }) => {
      const message = 'The server had an error while processing your request';
      const error = { message, type: 'server_error', param: null, code: null };
      if (!writer.request.stream) {
        writer.send({ status: 200, body: JSON.stringify({ error }) });
        return;
      }
      await sendBeginning(writer, number);
      await writer.write(event({ error }));
      writer.endUnfinished();
    },
  },
];

/** The start of an answer with this number of tokens, for scripts that break off after it. */
export async function sendBeginning(writer: ResponseWriter, tokens: number): Promise<void> {
  openAnswer(writer);
  if (!writer.request.stream) {
    const reply: Reply = { text: MARK, toolCalls: [], finishReason: 'stop' };
    const [head = ''] = JSON.stringify(completion(writer, reply)).split(MARK);
    await writer.write(head + fillerText(tokens));
    return;
  }
  await sendChunks(writer, openingChunks(writer));
  await sendChunks(writer, fillerTokens(writer, tokens));
}

function sendNothing(writer: ResponseWriter): void {
  openAnswer(writer);
  writer.endUnfinished();
}
