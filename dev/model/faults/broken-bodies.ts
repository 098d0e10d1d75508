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
    description: 'So many 200 with an HTML page, then well.',
    answer: (exchange, { number }) =>
      failThenReply(exchange, { times: number, fail: () => sendPage(exchange) }),
  },
  {
    name: '200-empty-object',
    description: '200 with {}.',
    answer: (exchange) => sendOdd(exchange, {}),
  },
  {
    name: '200-no-choices',
    description: '200 with an empty list of choices.',
    answer: (exchange) => sendOdd(exchange, { ...plainCompletion(exchange), choices: [] }),
  },
  {
    name: '200-null-content',
    description: '200 with a message whose content is null, and no tool call.',
    answer: (exchange) => sendOddMessage(exchange, { finish: 'stop', message: { content: null } }),
  },
  {
    name: '200-bad-tool-calls',
    description: '200 with a tool call without a name and with half of its arguments.',
    answer: (exchange) => {
      const message = { content: null, tool_calls: [{ index: 0, ...BAD_CALL }] };
      return sendOddMessage(exchange, { finish: 'tool_calls', message });
    },
  },
  {
    name: '200-truncated',
    description: '200 with JSON that stops in the middle.',
    answer: (exchange) => {
      const whole = JSON.stringify(plainCompletion(exchange));
      exchange.send({ status: 200, body: whole.slice(0, whole.length / 2) });
    },
  },
  {
    name: '200-huge',
    parameter: { label: 'bytes', kind: 'number', standard: String(HUGE_BYTES) },
    description: '200 with a JSON body of that many bytes (100 MiB), stream or not.',
    answer: (exchange, { number }) =>
      sendBytes({ ...exchange, request: { ...exchange.request, stream: false } }, number),
  },
];

function sendPage(exchange: ResponseWriter): void {
  exchange.send({ status: 200, headers: { 'content-type': 'text/html' }, body: HTML });
}

/** The same oddity for both kinds of caller: as a body, or as the only event of a stream. */
function sendOdd(exchange: ResponseWriter, value: unknown): void {
  if (!exchange.request.stream) return exchange.send({ status: 200, body: JSON.stringify(value) });
  const headers = { 'content-type': 'text/event-stream; charset=utf-8' };
  exchange.send({ status: 200, headers, body: `${event(value)}data: [DONE]\n\n` });
}

function sendOddMessage(
  exchange: ResponseWriter,
  { finish, message }: { finish: string; message: Record<string, unknown> },
): void {
  const name = exchange.request.stream ? 'delta' : 'message';
  const choice = { index: 0, [name]: { role: 'assistant', ...message }, finish_reason: finish };
  sendOdd(exchange, { ...plainCompletion(exchange), choices: [choice] });
}

function plainCompletion(exchange: ResponseWriter): Record<string, unknown> {
  const reply: Reply = { ...composeReply(exchange.request), toolCalls: [] };
  const object = exchange.request.stream ? 'chat.completion.chunk' : 'chat.completion';
  return { ...completion(exchange, reply), object };
}
