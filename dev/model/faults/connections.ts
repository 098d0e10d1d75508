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
    answer: (exchange) => exchange.cut(),
  },
  {
    name: 'reset-then-ok',
    parameter: { label: 'times', kind: 'number', standard: '1' },
    description: 'So many resets before any header, then well.',
    answer: (exchange, { number }) =>
      failThenReply(exchange, { times: number, fail: () => exchange.cut() }),
  },
  {
    name: 'cut',
    parameter: AFTER,
    description: 'The connection is reset after that many tokens.',
    answer: async (exchange, { number }) => {
      await sendBeginning(exchange, number);
      await exchange.cut();
    },
  },
  {
    name: 'cut-then-ok',
    parameter: AFTER,
    description: 'One stream is reset after that many tokens (0: before the first), then well.',
    answer: (exchange, { number }) =>
      failThenReply(exchange, {
        times: 1,
        fail: async () => {
          await sendBeginning(exchange, number);
          await exchange.cut();
        },
      }),
  },
  {
    name: 'fin',
    parameter: AFTER,
    description: 'A clean end after that many tokens, without finish_reason and [DONE].',
    answer: async (exchange, { number }) => {
      await sendBeginning(exchange, number);
      exchange.endUnfinished();
    },
  },
  {
    name: 'no-done',
    description: 'A whole answer with finish_reason, but no [DONE].',
    answer: async (exchange) => {
      const reply = composeReply(exchange.request);
      if (!exchange.request.stream) return sendReply(exchange, reply);
      openStream(exchange);
      await sendChunks(exchange, streamEvents(exchange, reply).slice(0, -1));
      await exchange.write(finishEvents(exchange, reply));
      exchange.end();
    },
  },
  {
    name: 'empty-stream',
    description: 'A stream with no event at all.',
    answer: sendNothing,
  },
  {
    name: 'empty-stream-then-ok',
    parameter: { label: 'times', kind: 'number', standard: '1' },
    description: 'So many empty streams, then well.',
    answer: (exchange, { number }) =>
      failThenReply(exchange, { times: number, fail: () => sendNothing(exchange) }),
  },
  {
    name: 'error-in-stream',
    parameter: AFTER,
    description: 'An error event after that many tokens, then the end.',
    answer: async (exchange, { number }) => {
      const message = 'The server had an error while processing your request';
      const error = { message, type: 'server_error', param: null, code: null };
      if (!exchange.request.stream) {
        exchange.send({ status: 200, body: JSON.stringify({ error }) });
        return;
      }
      await sendBeginning(exchange, number);
      await exchange.write(event({ error }));
      exchange.endUnfinished();
    },
  },
];

/** The opening of an answer and exactly so many tokens, for scripts that break off there. */
export async function sendBeginning(exchange: ResponseWriter, tokens: number): Promise<void> {
  openAnswer(exchange);
  if (!exchange.request.stream) {
    const reply: Reply = { text: MARK, toolCalls: [], finishReason: 'stop' };
    const [head = ''] = JSON.stringify(completion(exchange, reply)).split(MARK);
    await exchange.write(head + fillerText(tokens));
    return;
  }
  await sendChunks(exchange, openingChunks(exchange));
  await sendChunks(exchange, fillerTokens(exchange, tokens));
}

function sendNothing(exchange: ResponseWriter): void {
  openAnswer(exchange);
  exchange.endUnfinished();
}
