import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib';
import type { Socket } from 'node:net';
import { composeReply, type Reply } from '../compose-reply.ts';
import type { ResponseWriter } from '../response-writer.ts';
import {
  closingEvents,
  completion,
  deltaEvent,
  event,
  finishEvents,
  openAnswer,
  openStream,
  sendReply,
  streamEvents,
} from '../send-reply.ts';
import type { ScriptedModel } from './scripted-model.ts';

const WORDLESS =
  'data:\n\ndata: null\n\ndata: {}\n\ndata: {"choices":null}\n\ndata: {"choices":[]}\n\n';
const AFTER_FINISH = 'data: {"choices":[\n\ndata: {"error":{"code":"server_error"}}\n\n';

/** How long a stream stays open that should have ended. */
const OPEN_MS = 600_000;

/** What servers and proxies of the field were seen to send. */
export const fieldQuirkModels: readonly ScriptedModel[] = [
  {
    name: 'sse-wordless',
    description:
      'A valid stream with events that carry no words before, between and after its own.',
    answer: (exchange) =>
      sendEvents(exchange, (events) => [...events.flatMap((one) => [WORDLESS, one]), WORDLESS]),
  },
  {
    name: 'sse-after-finish',
    description: 'A valid stream with broken events and an error event after its finish reason.',
    answer: async (exchange) => {
      const reply = composeReply(exchange.request);
      if (!exchange.request.stream) return sendReply(exchange, reply);
      openStream(exchange);
      const events = streamEvents(exchange, reply).slice(0, -1);
      await exchange.write(events.join('') + finishEvents(exchange, reply) + AFTER_FINISH);
      exchange.end();
    },
  },
  {
    name: 'stale-connections',
    description: 'Every second request of a connection is reset without a byte.',
    answer: resetEverySecond,
  },
  {
    name: 'refusal-empty',
    description: 'A refusal beside empty content instead of null.',
    answer: (exchange) =>
      sendMessage(exchange, { content: '', refusal: 'I cannot help with that.' }),
  },
  {
    name: 'unrequested-tool-call',
    description: 'A call of a tool that the request does not offer.',
    answer: (exchange) => {
      const call = { id: 'call_1', type: 'function', function: { name: 'now', arguments: '{}' } };
      const toolCalls = exchange.request.stream ? [{ index: 0, ...call }] : [call];
      return sendMessage(exchange, { content: null, tool_calls: toolCalls }, 'tool_calls');
    },
  },
  ...(['gzip', 'br', 'deflate'] as const).map((encoding): ScriptedModel => ({
    name: `encoded-${encoding}`,
    description: `A valid answer in ${encoding}, although identity is requested.`,
    answer: (exchange) => sendEncoded(exchange, encoding),
  })),
  {
    name: 'sse-split-surrogate',
    description: 'A stream whose character 🦊 is split over two chunks.',
    answer: async (exchange) => {
      if (!exchange.request.stream) return sendMessage(exchange, { content: 'a 🦊 here' });
      openStream(exchange);
      for (const content of ['a \ud83e', '\udd8a here']) {
        await exchange.write(deltaEvent(exchange, { content }));
      }
      await exchange.write(closingEvents(exchange, replyOf('stop')));
      exchange.end();
    },
  },
  {
    name: 'cached-tokens',
    description: 'A valid answer that reports cached input tokens.',
    answer: async (exchange) => {
      const reply = composeReply(exchange.request);
      const body = completion(exchange, reply);
      const usage = { ...Object(body['usage']), prompt_tokens_details: { cached_tokens: 1 } };
      if (!exchange.request.stream) {
        exchange.send({ status: 200, body: JSON.stringify({ ...body, usage }) });
        return;
      }
      openStream(exchange);
      const events = streamEvents(exchange, reply).slice(0, -1);
      const finish = finishEvents(exchange, reply).split(/(?<=\n\n)/)[0] ?? '';
      await exchange.write(events.join('') + finish + event({ choices: [], usage }));
      exchange.end();
    },
  },
  {
    name: 'never-closing',
    description:
      'A valid stream without usage that stays open for ten minutes after its finish reason.',
    answer: async (exchange) => {
      const reply = composeReply(exchange.request);
      if (!exchange.request.stream) return sendReply(exchange, reply);
      openStream(exchange);
      const finish = finishEvents(exchange, reply).split(/(?<=\n\n)/)[0] ?? '';
      await exchange.write(streamEvents(exchange, reply).slice(0, -1).join('') + finish);
      await exchange.wait(OPEN_MS);
      exchange.end();
    },
  },
  {
    name: 'finish',
    parameter: { label: 'reason', kind: 'text' },
    description: 'A valid answer with that finish reason.',
    answer: (exchange, { text }) => sendMessage(exchange, { content: 'hello' }, text),
  },
];

function replyOf(finishReason: string): Reply {
  return { text: '', toolCalls: [], finishReason: finishReason as Reply['finishReason'] };
}

/** A message as it stands here, whole or as one chunk. */
async function sendMessage(
  exchange: ResponseWriter,
  message: Record<string, unknown>,
  finishReason = 'stop',
): Promise<void> {
  const reply = replyOf(finishReason);
  openAnswer(exchange);
  if (exchange.request.stream) {
    await exchange.write(deltaEvent(exchange, message) + closingEvents(exchange, reply));
  } else {
    const choice = {
      index: 0,
      message: { role: 'assistant', ...message },
      finish_reason: finishReason,
    };
    await exchange.write(JSON.stringify({ ...completion(exchange, reply), choices: [choice] }));
  }
  exchange.end();
}

async function sendEvents(
  exchange: ResponseWriter,
  reshape: (events: readonly string[]) => readonly string[],
): Promise<void> {
  const reply = composeReply(exchange.request);
  if (!exchange.request.stream) return sendReply(exchange, reply);
  openStream(exchange);
  const events = streamEvents(exchange, reply)
    .join('')
    .split(/(?<=\n\n)/);
  await exchange.write(reshape(events.filter((one) => one !== '')).join(''));
  exchange.end();
}

const ENCODERS = { gzip: gzipSync, br: brotliCompressSync, deflate: deflateSync } as const;

async function sendEncoded(
  exchange: ResponseWriter,
  encoding: keyof typeof ENCODERS,
): Promise<void> {
  const reply = composeReply(exchange.request);
  const text = exchange.request.stream
    ? streamEvents(exchange, reply).join('')
    : JSON.stringify(completion(exchange, reply));
  exchange.response.setHeader('content-encoding', encoding);
  openAnswer(exchange);
  await exchange.write(ENCODERS[encoding](text));
  exchange.end();
}

const answered = new WeakSet<Socket>();

async function resetEverySecond(exchange: ResponseWriter): Promise<void> {
  const { socket } = exchange.response;
  if (socket !== null && answered.has(socket)) return exchange.cut();
  if (socket !== null) answered.add(socket);
  await sendReply(exchange);
}
