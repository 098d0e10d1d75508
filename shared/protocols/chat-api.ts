import * as z from 'zod';
import type { AgentEvent, RunResult, ToolCallSummary } from '../agent/agent.ts';
import type { TokenUsage } from '../model/model.ts';
import { toProblem } from './problem-details.ts';
import type { Frame, Protocol, SseEvent, StreamEncoder } from './protocol.ts';
import { MAX_OUTPUT_TOKENS, parseRequest } from './validation.ts';

/** The shape of the answer; `response` is then JSON text. */
const responseFormat = z.discriminatedUnion('type', [
  z.strictObject({ type: z.enum(['text', 'json_object']) }),
  z.strictObject({
    type: z.literal('json_schema'),
    schema: z.record(z.string(), z.unknown()),
    name: z
      .string()
      .regex(/^[A-Za-z0-9_-]{1,64}$/)
      .default('answer'),
    strict: z.boolean().optional(),
  }),
]);

export const chatRequestSchema = z.strictObject({
  message: z.string().refine((text) => text.trim() !== '', 'must not be blank'),
  sessionId: z.string().min(1).max(256).optional(),
  stream: z.boolean().optional(),
  /** The run goes on without its client. A batch item is in the background anyway. */
  background: z.boolean().optional(),
  maxOutputTokens: z.int().min(1).max(MAX_OUTPUT_TOKENS).optional(),
  responseFormat: responseFormat.optional(),
  metadata: z
    .record(z.string().max(64), z.string().max(512))
    .refine((map) => Object.keys(map).length <= 16, 'must have at most 16 keys')
    .optional(),
});

/** The body of POST /api/chat and of a batch item in this protocol. */
export type ChatRequest = z.infer<typeof chatRequestSchema>;

const FIELD_NAMES = {
  messages: 'message',
  maxOutputTokens: 'maxOutputTokens',
  responseFormat: 'responseFormat',
} as const;

/** The service's own protocol: one message, answered as JSON or as named events. */
export const chatApi: Protocol<ChatRequest> = {
  id: 'chat',
  batchUrl: '/api/chat',
  recognizes: (body) => typeof body === 'object' && body !== null && 'message' in body,
  parse: (body) => parseRequest(chatRequestSchema, body),
  toInput: ({ message, maxOutputTokens, responseFormat: format }) => ({
    messages: [{ role: 'user', content: message }],
    maxOutputTokens,
    responseFormat: format && { ...format, param: 'responseFormat.schema' },
    fieldNames: FIELD_NAMES,
  }),
  sessionOf: ({ sessionId }) => ({ sessionId }),
  wantsStream: ({ stream }, accept) => stream ?? accept.includes('text/event-stream'),
  encodeResult: (result, frame) => ({ response: result.text, ...toOutcome(result, frame) }),
  openStream: createChatStream,
  storage: { toJson: (request) => request, fromJson: (value) => chatRequestSchema.parse(value) },
  isBackground: ({ background }) => background ?? false,
};

type ChatFrame = Frame<ChatRequest>;

function createChatStream(frame: ChatFrame): StreamEncoder {
  const { requestId, runId: id } = frame;
  let end: Readonly<Record<string, unknown>> | undefined;
  return {
    start() {
      const data = { ...sessionOf(frame), requestId, ...(id === undefined ? {} : { id }) };
      return [{ event: 'session', data }];
    },
    event(event) {
      if (event.type === 'done') {
        const { result } = event;
        end = { status: 'completed', response: result.text, ...toOutcome(result, frame) };
      }
      return toEvents(event, frame);
    },
    fail(error) {
      const problem = toProblem(error, requestId);
      end = { status: 'failed', error: problem.error, ...sessionOf(frame), requestId };
      return [{ event: 'error', data: problem }];
    },
    restart: () => [{ event: 'restart', data: {} }],
    cancel() {
      end = { status: 'cancelled', ...sessionOf(frame), requestId };
      return [{ event: 'cancelled', data: {} }];
    },
    snapshot: (status) => ({ id, ...(end ?? { status, ...sessionOf(frame), requestId }) }),
  };
}

function toEvents(event: AgentEvent, frame: Frame<ChatRequest>): readonly SseEvent[] {
  switch (event.type) {
    case 'text-delta':
      return [{ event: 'delta', data: { text: event.text } }];
    case 'tool-call':
      return [{ event: 'tool', data: { name: event.name, status: 'running' } }];
    case 'tool-result':
      return [{ event: 'tool', data: { name: event.name, status: event.status } }];
    case 'done':
      return [{ event: 'done', data: toOutcome(event.result, frame) }];
    case 'step-end':
      return [];
  }
}

/** Everything about a result except its text. */
function toOutcome(result: RunResult, frame: Frame<ChatRequest>) {
  const { model, finishReason, cached, usage, toolCalls } = result;
  return {
    model,
    finishReason,
    cached,
    usage: toUsage(usage),
    toolCalls: toolCalls.map(toToolCall),
    ...sessionOf(frame),
    requestId: frame.requestId,
  };
}

/** Nothing where sessions are not possible, as in a batch. */
function sessionOf({ sessionId }: Frame<ChatRequest>): { readonly sessionId?: string | null } {
  return sessionId === undefined ? {} : { sessionId: sessionId() };
}

function toUsage({ inputTokens, outputTokens, totalTokens, cachedInputTokens }: TokenUsage) {
  return {
    inputTokens,
    outputTokens,
    totalTokens,
    ...(cachedInputTokens === undefined ? {} : { cachedInputTokens }),
  };
}

function toToolCall({ name, status, durationMs }: ToolCallSummary) {
  return { name, status, durationMs };
}
