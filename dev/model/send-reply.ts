import type { ResponseWriter } from './response-writer.ts';
import { composeReply, splitIntoTokens, usageOf, type Reply } from './compose-reply.ts';

// With no pause between tokens, small writes would cost more than the tokens.
const WRITE_CHARS = 16_384;

const FILTER_RESULT = {
  hate: { filtered: false, severity: 'safe' },
  self_harm: { filtered: false, severity: 'safe' },
  sexual: { filtered: false, severity: 'safe' },
  violence: { filtered: false, severity: 'safe' },
};

/** Answers as a healthy model does, whole or as a stream, whichever was asked for. */
export async function sendReply(
  exchange: ResponseWriter,
  reply: Reply = composeReply(exchange.request),
): Promise<void> {
  if (!exchange.request.stream) {
    exchange.call.tokensSent = splitIntoTokens(reply.text).length;
    exchange.send({ status: 200, body: JSON.stringify(completion(exchange, reply)) });
    return;
  }
  openStream(exchange);
  await sendChunks(exchange, openingChunks(exchange));
  await sendChunks(exchange, contentChunks(exchange, reply));
  await exchange.write(closingEvents(exchange, reply));
  exchange.end();
}

export function openStream(exchange: ResponseWriter): void {
  exchange.open('text/event-stream; charset=utf-8');
}

/** Sends the headers of whichever kind of answer was asked for. */
export function openAnswer(exchange: ResponseWriter): void {
  if (exchange.request.stream) openStream(exchange);
  else exchange.open('application/json');
}

/** The body of an answer that is not streamed. */
export function completion(exchange: ResponseWriter, reply: Reply): Record<string, unknown> {
  const { text, refusal = null, toolCalls, finishReason } = reply;
  const hasText = refusal === null && toolCalls.length === 0;
  const calls = toolCalls.map(({ id, name, arguments: written }) => ({
    id,
    type: 'function',
    function: { name, arguments: written },
  }));
  const message = {
    role: 'assistant',
    content: hasText ? text : null,
    refusal,
    ...(calls.length > 0 && { tool_calls: calls }),
  };
  return {
    ...envelope(exchange, 'chat.completion'),
    choices: [
      {
        index: 0,
        message,
        logprobs: null,
        finish_reason: finishReason,
        ...(exchange.isAzure && { content_filter_results: FILTER_RESULT }),
      },
    ],
    usage: usageOf(exchange.request, reply),
    ...(exchange.isAzure && promptFilter()),
  };
}

/** What comes before the first token: the role, and on Azure a chunk without choices. */
export function openingChunks(exchange: ResponseWriter): string[] {
  const role = deltaEvent(exchange, { role: 'assistant', content: '' });
  if (!exchange.isAzure) return [role];
  const filtered = {
    ...envelope(exchange, ''),
    id: '',
    created: 0,
    choices: [],
    ...promptFilter(),
  };
  return [event(filtered), role];
}

/** One event that adds to the message. */
export function deltaEvent(exchange: ResponseWriter, delta: unknown): string {
  const choice = { index: 0, delta, logprobs: null, finish_reason: null };
  return event({ ...envelope(exchange, 'chat.completion.chunk'), choices: [choice] });
}

/** One token of text, counted. */
export function tokenEvent(exchange: ResponseWriter, content: string): string {
  exchange.call.tokensSent += 1;
  return deltaEvent(exchange, { content });
}

/** The finish reason, the usage if it was asked for, and the end marker. */
export function closingEvents(exchange: ResponseWriter, reply: Reply): string {
  return `${finishEvents(exchange, reply)}data: [DONE]\n\n`;
}

export function finishEvents(exchange: ResponseWriter, reply: Reply): string {
  const head = envelope(exchange, 'chat.completion.chunk');
  const choice = { index: 0, delta: {}, logprobs: null, finish_reason: reply.finishReason };
  const finish = event({ ...head, choices: [choice] });
  if (!exchange.request.includeUsage) return finish;
  return finish + event({ ...head, choices: [], usage: usageOf(exchange.request, reply) });
}

/** Every event of a healthy stream in order, for scripts that send it in an odd way. */
export function streamEvents(exchange: ResponseWriter, reply: Reply): string[] {
  return [
    ...openingChunks(exchange),
    ...contentChunks(exchange, reply),
    closingEvents(exchange, reply),
  ];
}

/** Sends events one by one at the pace of a model, or together when there is no pace. */
export async function sendChunks(
  exchange: ResponseWriter,
  chunks: Iterable<string>,
): Promise<void> {
  let waiting = '';
  for (const chunk of chunks) {
    waiting += chunk;
    if (exchange.tokenDelayMs === 0 && waiting.length < WRITE_CHARS) continue;
    await exchange.write(waiting);
    waiting = '';
    await exchange.pace(exchange.tokenDelayMs);
  }
  if (waiting !== '') await exchange.write(waiting);
}

function* contentChunks(exchange: ResponseWriter, reply: Reply): Generator<string> {
  if (reply.refusal !== undefined) yield deltaEvent(exchange, { refusal: reply.refusal });
  for (const token of splitIntoTokens(reply.text)) yield tokenEvent(exchange, token);
  for (const [index, call] of reply.toolCalls.entries()) {
    const { id, name } = call;
    const start = { index, id, type: 'function', function: { name, arguments: '' } };
    yield deltaEvent(exchange, { tool_calls: [start] });
    for (const piece of splitIntoTokens(call.arguments)) {
      yield deltaEvent(exchange, { tool_calls: [{ index, function: { arguments: piece } }] });
    }
  }
}

function envelope(exchange: ResponseWriter, object: string): Record<string, unknown> {
  const { call, request } = exchange;
  return {
    id: `chatcmpl-dev-${call.id}`,
    object,
    created: Math.floor(call.startedAt / 1000),
    model: request.model,
    system_fingerprint: 'fp_development_model',
  };
}

function promptFilter(): Record<string, unknown> {
  return {
    prompt_filter_results: [{ prompt_index: 0, content_filter_results: FILTER_RESULT }],
  };
}

export function event(value: unknown): string {
  return `data: ${JSON.stringify(value)}\n\n`;
}
