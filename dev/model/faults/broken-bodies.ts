import { composeReply, type Reply } from '../compose-reply.ts';
import type { ResponseWriter } from '../response-writer.ts';
import { completion, event } from '../send-reply.ts';
import { sendBytes } from './answers.ts';
import { failThenReply, type ScriptedModel } from './scripted-model.ts';

const HUGE_BYTES = 100 * 1024 * 1024;
const HTML = '<!doctype html><html><body>Welcome to the proxy</body></html>';
const BAD_CALL = { id: 7, type: 'function', function: { name: null, arguments: '{"city": "Os' } };

export const brokenBodyModels: readonly ScriptedModel[] = [
  {
    name: '200-html',
    description: '200 with an HTML page.',
    answer: sendPage,
  },
  {
    name: '200-html-then-ok',
    parameter: { label: 'times', kind: 'number', standard: '1' },
    description: 'That many 200 with an HTML page, then answers.',
    answer: (writer, { number }) =>
      failThenReply(writer, { times: number, fail: () => sendPage(writer) }),
  },
  {
    name: '200-empty-object',
    description: '200 with {}.',
    answer: (writer) => sendOdd(writer, {}),
  },
  {
    name: '200-no-choices',
    description: '200 with an empty list of choices.',
    answer: (writer) => sendOdd(writer, { ...plainCompletion(writer), choices: [] }),
  },
  {
    name: '200-null-content',
    description: '200 with a message whose content is null, and no tool call.',
    answer: (writer) => sendOddMessage(writer, { finish: 'stop', message: { content: null } }),
  },
  {
    name: '200-bad-tool-calls',
    description: '200 with a tool call without a name and with half of its arguments.',
    answer: (writer) => {
      const message = { content: null, tool_calls: [{ index: 0, ...BAD_CALL }] };
      return sendOddMessage(writer, { finish: 'tool_calls', message });
    },
  },
  {
    name: '200-truncated',
    description: '200 with truncated JSON.',
    answer: (writer) => {
      const whole = JSON.stringify(plainCompletion(writer));
      writer.send({ status: 200, body: whole.slice(0, whole.length / 2) });
    },
  },
  {
    name: '200-huge',
    parameter: { label: 'bytes', kind: 'number', standard: String(HUGE_BYTES) },
    description: '200 with a JSON body of that many bytes (100 MiB), stream or not.',
    answer: (writer, { number }) =>
      sendBytes({ ...writer, request: { ...writer.request, stream: false } }, number),
  },
];

function sendPage(writer: ResponseWriter): void {
  writer.send({ status: 200, headers: { 'content-type': 'text/html' }, body: HTML });
}

/** Sends the same invalid value as a body, or as the only event of a stream. */
function sendOdd(writer: ResponseWriter, value: unknown): void {
  if (!writer.request.stream) return writer.send({ status: 200, body: JSON.stringify(value) });
  const headers = { 'content-type': 'text/event-stream; charset=utf-8' };
  writer.send({ status: 200, headers, body: `${event(value)}data: [DONE]\n\n` });
}

function sendOddMessage(
  writer: ResponseWriter,
  { finish, message }: { finish: string; message: Record<string, unknown> },
): void {
  const name = writer.request.stream ? 'delta' : 'message';
  const choice = { index: 0, [name]: { role: 'assistant', ...message }, finish_reason: finish };
  sendOdd(writer, { ...plainCompletion(writer), choices: [choice] });
}

function plainCompletion(writer: ResponseWriter): Record<string, unknown> {
  const reply: Reply = { ...composeReply(writer.request), toolCalls: [] };
  const object = writer.request.stream ? 'chat.completion.chunk' : 'chat.completion';
  return { ...completion(writer, reply), object };
}
