import type { ResponseWriter } from './response-writer.ts';
import { composeReply, splitIntoTokens, usageOf, type Reply } from './compose-reply.ts';

// Without a delay between tokens, small writes would cost more than the tokens.
const WRITE_CHARS = 16_384;

const FILTER_RESULT = {
  hate: { filtered: false, severity: 'safe' },
  self_harm: { filtered: false, severity: 'safe' },
  sexual: { filtered: false, severity: 'safe' },
  violence: { filtered: false, severity: 'safe' },
};

/** Answers as a real model does, complete or as a stream, as the request says. */
export async function sendReply(
  writer: ResponseWriter,
  reply: Reply = composeReply(writer.request),
): Promise<void> {
  if (!writer.request.stream) {
    writer.call.tokensSent = splitIntoTokens(reply.text).length;
    writer.send({ status: 200, body: JSON.stringify(completion(writer, reply)) });
    return;
  }
  openStream(writer);
  await sendChunks(writer, openingChunks(writer));
  await sendChunks(writer, contentChunks(writer, reply));
  await writer.write(closingEvents(writer, reply));
  writer.end();
}

export function openStream(writer: ResponseWriter): void {
  writer.open('text/event-stream; charset=utf-8');
}

/** Sends the headers of the kind of answer that the request wants. */
export function openAnswer(writer: ResponseWriter): void {
  if (writer.request.stream) openStream(writer);
  else writer.open('application/json');
}

/** The body of an answer that is not streamed. */
export function completion(writer: ResponseWriter, reply: Reply): Record<string, unknown> {
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
    ...envelope(writer, 'chat.completion'),
    choices: [
      {
        index: 0,
        message,
        logprobs: null,
        finish_reason: finishReason,
        ...(writer.isAzure && { content_filter_results: FILTER_RESULT }),
      },
    ],
    usage: usageOf(writer.request, reply),
    ...(writer.isAzure && promptFilter()),
  };
}

/** The events before the first token: the role, and on Azure a chunk without choices. */
export function openingChunks(writer: ResponseWriter): string[] {
  const role = deltaEvent(writer, { role: 'assistant', content: '' });
  if (!writer.isAzure) return [role];
  const filtered = {
    ...envelope(writer, ''),
    id: '',
    created: 0,
    choices: [],
    ...promptFilter(),
  };
  return [event(filtered), role];
}

/** One event that adds to the message. */
export function deltaEvent(writer: ResponseWriter, delta: unknown): string {
  const choice = { index: 0, delta, logprobs: null, finish_reason: null };
  return event({ ...envelope(writer, 'chat.completion.chunk'), choices: [choice] });
}

/** One token of text, counted. */
export function tokenEvent(writer: ResponseWriter, content: string): string {
  writer.call.tokensSent += 1;
  return deltaEvent(writer, { content });
}

/** The finish reason, the usage if requested, and the end marker. */
export function closingEvents(writer: ResponseWriter, reply: Reply): string {
  return `${finishEvents(writer, reply)}data: [DONE]\n\n`;
}

export function finishEvents(writer: ResponseWriter, reply: Reply): string {
  const head = envelope(writer, 'chat.completion.chunk');
  const choice = { index: 0, delta: {}, logprobs: null, finish_reason: reply.finishReason };
  const finish = event({ ...head, choices: [choice] });
  if (!writer.request.includeUsage) return finish;
  return finish + event({ ...head, choices: [], usage: usageOf(writer.request, reply) });
}

/** Every event of a valid stream in order, for scripts that send it in an unusual way. */
export function streamEvents(writer: ResponseWriter, reply: Reply): string[] {
  return [...openingChunks(writer), ...contentChunks(writer, reply), closingEvents(writer, reply)];
}

/** Sends events one by one with the delay of a model, or together without a delay. */
export async function sendChunks(writer: ResponseWriter, chunks: Iterable<string>): Promise<void> {
  let waiting = '';
  for (const chunk of chunks) {
    waiting += chunk;
    if (writer.tokenDelayMs === 0 && waiting.length < WRITE_CHARS) continue;
    await writer.write(waiting);
    waiting = '';
    await writer.pace(writer.tokenDelayMs);
  }
  if (waiting !== '') await writer.write(waiting);
}

function* contentChunks(writer: ResponseWriter, reply: Reply): Generator<string> {
  if (reply.refusal !== undefined) yield deltaEvent(writer, { refusal: reply.refusal });
  for (const token of splitIntoTokens(reply.text)) yield tokenEvent(writer, token);
  for (const [index, call] of reply.toolCalls.entries()) {
    const { id, name } = call;
    const start = { index, id, type: 'function', function: { name, arguments: '' } };
    yield deltaEvent(writer, { tool_calls: [start] });
    for (const piece of splitIntoTokens(call.arguments)) {
      yield deltaEvent(writer, { tool_calls: [{ index, function: { arguments: piece } }] });
    }
  }
}

function envelope(writer: ResponseWriter, object: string): Record<string, unknown> {
  const { call, request } = writer;
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
