import * as z from 'zod';
import type { Message, RunResult } from '../agent/agent.ts';
import { statusOf } from './problem-details.ts';
import type { Protocol } from './protocol.ts';
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
 * Microsoft's AI Chat Protocol, on POST /api/chat. The client sends the whole conversation, so the
 * session state goes back as it came.
 */
export const aiChatProtocol: Protocol<AiChatRequest> = {
  id: 'ai-chat-protocol',
  recognizes: (body) => typeof body === 'object' && body !== null && 'messages' in body,
  parse: (body) => parseRequest(aiChatRequestSchema, body),
  toInput: ({ messages }) => ({
    messages: messages.map(({ role, content }): Message => ({ role, content })),
    fieldNames: { messages: 'messages' },
  }),
  wantsStream: () => false,
  encodeResult: (result, { request }) => ({
    message: { role: 'assistant', content: result.text },
    ...stateOf(request),
    context: toContext(result),
  }),
  openStream: ({ request }) => ({
    start: () => [{ data: { delta: { role: 'assistant' }, ...stateOf(request) } }],
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

function stateOf({ sessionState }: AiChatRequest) {
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
