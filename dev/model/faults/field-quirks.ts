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
    answer: (writer) =>
      sendEvents(writer, (events) => [...events.flatMap((one) => [WORDLESS, one]), WORDLESS]),
  },
  {
    name: 'sse-after-finish',
    description: 'A valid stream with broken events and an error event after its finish reason.',
    answer: async (writer) => {
      const reply = composeReply(writer.request);
      if (!writer.request.stream) return sendReply(writer, reply);
      openStream(writer);
      const events = streamEvents(writer, reply).slice(0, -1);
      await writer.write(events.join('') + finishEvents(writer, reply) + AFTER_FINISH);
      writer.end();
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
    answer: (writer) => sendMessage(writer, { content: '', refusal: 'I cannot help with that.' }),
  },
  {
    name: 'unrequested-tool-call',
    description: 'A call of a tool that the request does not offer.',
    answer: (writer) => {
      const call = { id: 'call_1', type: 'function', function: { name: 'now', arguments: '{}' } };
      const toolCalls = writer.request.stream ? [{ index: 0, ...call }] : [call];
      return sendMessage(writer, { content: null, tool_calls: toolCalls }, 'tool_calls');
    },
  },
  ...(['gzip', 'br', 'deflate'] as const).map((encoding): ScriptedModel => ({
    name: `encoded-${encoding}`,
    description: `A valid answer in ${encoding}, although identity is requested.`,
    answer: (writer) => sendEncoded(writer, encoding),
  })),
  {
    name: 'sse-split-surrogate',
    description: 'A stream whose character 🦊 is split over two chunks.',
    answer: async (writer) => {
      if (!writer.request.stream) return sendMessage(writer, { content: 'a 🦊 here' });
      openStream(writer);
      for (const content of ['a \ud83e', '\udd8a here']) {
        await writer.write(deltaEvent(writer, { content }));
      }
      await writer.write(closingEvents(writer, replyOf('stop')));
      writer.end();
    },
  },
  {
    name: 'cached-tokens',
    description: 'A valid answer that reports cached input tokens.',
    answer: async (writer) => {
      const reply = composeReply(writer.request);
      const body = completion(writer, reply);
      const usage = { ...Object(body['usage']), prompt_tokens_details: { cached_tokens: 1 } };
      if (!writer.request.stream) {
        writer.send({ status: 200, body: JSON.stringify({ ...body, usage }) });
        return;
      }
      openStream(writer);
      const events = streamEvents(writer, reply).slice(0, -1);
      const finish = finishEvents(writer, reply).split(/(?<=\n\n)/)[0] ?? '';
      await writer.write(events.join('') + finish + event({ choices: [], usage }));
      writer.end();
    },
  },
  {
    name: 'never-closing',
    description:
      'A valid stream without usage that stays open for ten minutes after its finish reason.',
    answer: async (writer) => {
      const reply = composeReply(writer.request);
      if (!writer.request.stream) return sendReply(writer, reply);
      openStream(writer);
      const finish = finishEvents(writer, reply).split(/(?<=\n\n)/)[0] ?? '';
      await writer.write(streamEvents(writer, reply).slice(0, -1).join('') + finish);
      await writer.wait(OPEN_MS);
      writer.end();
    },
  },
  {
    name: 'finish',
    parameter: { label: 'reason', kind: 'text' },
    description: 'A valid answer with that finish reason.',
    answer: (writer, { text }) => sendMessage(writer, { content: 'hello' }, text),
  },
];

function replyOf(finishReason: string): Reply {
  return { text: '', toolCalls: [], finishReason: finishReason as Reply['finishReason'] };
}

/** A message as it stands here, whole or as one chunk. */
async function sendMessage(
  writer: ResponseWriter,
  message: Record<string, unknown>,
  finishReason = 'stop',
): Promise<void> {
  const reply = replyOf(finishReason);
  openAnswer(writer);
  if (writer.request.stream) {
    await writer.write(deltaEvent(writer, message) + closingEvents(writer, reply));
  } else {
    const choice = {
      index: 0,
      message: { role: 'assistant', ...message },
      finish_reason: finishReason,
    };
    await writer.write(JSON.stringify({ ...completion(writer, reply), choices: [choice] }));
  }
  writer.end();
}

async function sendEvents(
  writer: ResponseWriter,
  reshape: (events: readonly string[]) => readonly string[],
): Promise<void> {
  const reply = composeReply(writer.request);
  if (!writer.request.stream) return sendReply(writer, reply);
  openStream(writer);
  const events = streamEvents(writer, reply)
    .join('')
    .split(/(?<=\n\n)/);
  await writer.write(reshape(events.filter((one) => one !== '')).join(''));
  writer.end();
}

const ENCODERS = { gzip: gzipSync, br: brotliCompressSync, deflate: deflateSync } as const;

async function sendEncoded(writer: ResponseWriter, encoding: keyof typeof ENCODERS): Promise<void> {
  const reply = composeReply(writer.request);
  const text = writer.request.stream
    ? streamEvents(writer, reply).join('')
    : JSON.stringify(completion(writer, reply));
  writer.response.setHeader('content-encoding', encoding);
  openAnswer(writer);
  await writer.write(ENCODERS[encoding](text));
  writer.end();
}

const answered = new WeakSet<Socket>();

async function resetEverySecond(writer: ResponseWriter): Promise<void> {
  const { socket } = writer.response;
  if (socket !== null && answered.has(socket)) return writer.cut();
  if (socket !== null) answered.add(socket);
  await sendReply(writer);
}
