import * as z from 'zod';
import type { Message, RunResult } from '../agent/agent.ts';
import { statusOf } from './problem-details.ts';
import {
  assertUserMessage,
  type Frame,
  isSessionId,
  newMessages,
  type Protocol,
} from './protocol.ts';
import { parseRequest } from './validation.ts';

/** Far above every bound that a setting gives; it limits the work of reading a body. */
const MAX_MESSAGES = 100_000;

const chatMessage = z.object({
  role: z.enum(['user', 'assistant', 'system']),
  content: z.string(),
  /** What a client keeps with a message; it has no effect here. */
  context: z.unknown().optional(),
  sessionState: z.unknown().optional(),
  files: z.null('must be absent: files are not accepted').optional(),
});

const isBlank = (text: string): boolean => text.trim() === '';

export const aiChatRequestSchema = z.strictObject({
  messages: z
    .array(
      chatMessage.refine(({ role, content }) => role !== 'user' || !isBlank(content), {
        path: ['content'],
        error: 'must not be blank',
      }),
    )
    .min(1)
    .max(MAX_MESSAGES),
  context: z.unknown().optional(),
  sessionState: z.unknown().optional(),
});

type AiChatRequest = z.infer<typeof aiChatRequestSchema>;

/**
 * Microsoft's AI Chat Protocol, on POST /api/chat. A first message starts a session, whose id is the
 * session state. Any other state belongs to the client, and goes back as it came.
 */
export const aiChatProtocol: Protocol<AiChatRequest> = {
  id: 'ai-chat-protocol',
  recognizes: (body) => typeof body === 'object' && body !== null && 'messages' in body,
  parse(body) {
    const request = parseRequest(aiChatRequestSchema, body);
    if (sessionOf(request) !== undefined) assertUserMessage(request.messages);
    return request;
  },
  toInput(request) {
    const { messages } = request;
    const read = sessionOf(request)?.sessionId === undefined ? messages : newMessages(messages);
    return {
      messages: read.map(({ role, content }): Message => ({ role, content })),
      fieldNames: { messages: 'messages' },
    };
  },
  wantsStream: () => false,
  sessionOf,
  encodeResult: (result, frame) => ({
    message: { role: 'assistant', content: result.text },
    ...stateOf(frame),
    context: toContext(result),
  }),
  openStream: (frame) => ({
    start: () => [{ data: { delta: { role: 'assistant' }, ...stateOf(frame) } }],
    event(event) {
      switch (event.type) {
        case 'text-delta':
          return [{ data: { delta: { content: event.text } } }];
        case 'done':
          return [{ data: { delta: {}, context: toContext(event.result) } }];
        case 'tool-call':
        case 'tool-result':
        case 'step-end':
          return [];
      }
    },
    fail: ({ code, message }) => [{ data: { error: { code, message, status: statusOf(code) } } }],
  }),
};

/** The same protocol on POST /api/chat/stream: one JSON value on each line. */
export const aiChatProtocolStream: Protocol<AiChatRequest> = {
  ...aiChatProtocol,
  id: 'ai-chat-protocol.stream',
  streamFormat: 'json-lines',
  recognizes: () => false,
  wantsStream: () => true,
};

function sessionOf({ messages, sessionState: state }: AiChatRequest) {
  if (typeof state === 'string' && isSessionId(state)) return { sessionId: state };
  const isFirst = messages.length === 1 && (state === undefined || state === null);
  return isFirst ? { sessionId: undefined } : undefined;
}

function stateOf({ request, sessionId }: Frame<AiChatRequest>) {
  const { sessionState: own } = request;
  const sessionState = sessionOf(request) === undefined ? own : (sessionId?.() ?? undefined);
  return sessionState === undefined ? {} : { sessionState };
}

function toContext({ model, finishReason, cached, usage, toolCalls }: RunResult) {
  return {
    model,
    finishReason,
    cached,
    usage: {
      inputTokens: usage.inputTokens,
      outputTokens: usage.outputTokens,
      totalTokens: usage.totalTokens,
    },
    toolCalls: toolCalls.map(({ name, status, durationMs }) => ({ name, status, durationMs })),
  };
}
