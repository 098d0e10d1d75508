import * as z from 'zod';
import type { AgentEvent, AgentInput, RunResult } from '../agent/agent.ts';
import { ServiceError } from '../errors.ts';
import type { TokenUsage } from '../model/model.ts';
import { toProblem } from './problem-details.ts';
import { DONE, type Frame, type Protocol, type SseEvent } from './protocol.ts';
import { parseRequest } from './validation.ts';

/** All messages together, about 25,000 tokens; longer input belongs into a batch. */
const MAX_CHARS = 100_000;
const MAX_MESSAGES = 256;
const MAX_PARTS = 64;

const textPart = z.strictObject({ type: z.literal('text'), text: z.string() });
const content = z
  .union(
    [z.string(), z.array(textPart).min(1).max(MAX_PARTS)],
    'must be text or a list of text parts',
  )
  .transform((value) =>
    typeof value === 'string' ? value : value.map(({ text }) => text).join(''),
  );
const name = z.string().max(128).optional();

const messageSchema = z.discriminatedUnion('role', [
  z.strictObject({ role: z.literal('system'), content, name }),
  z.strictObject({ role: z.literal('developer'), content, name }),
  z.strictObject({ role: z.literal('user'), content, name }),
  z.strictObject({
    role: z.literal('assistant'),
    content,
    name,
    refusal: z.null().optional(),
    // Clients send our own answers back.
    annotations: z.array(z.unknown()).max(0).optional(),
  }),
]);

const tokens = z.int().min(1).max(128_000).nullish();

/** Clients send these by default. The agent's own settings decide, so they have no effect. */
const IGNORED = {
  top_p: z.number().min(0).max(1).nullish(),
  frequency_penalty: z.number().min(-2).max(2).nullish(),
  presence_penalty: z.number().min(-2).max(2).nullish(),
  seed: z.int().nullish(),
  stop: z.union([z.string(), z.array(z.string()).max(4)]).nullish(),
  user: z.string().max(512).optional(),
  safety_identifier: z.string().max(512).optional(),
  prompt_cache_key: z.string().max(512).optional(),
  service_tier: z.string().max(64).nullish(),
  store: z.boolean().nullish(),
  metadata: z.record(z.string().max(64), z.string().max(512)).nullish(),
  parallel_tool_calls: z.boolean().optional(),
} as const;

/** A parameter that changes the meaning of the answer must have the value that we support. */
const completionsSchema = z.strictObject({
  ...IGNORED,
  model: z.string().min(1).max(256).optional(),
  messages: z.array(messageSchema).min(1).max(MAX_MESSAGES),
  stream: z.boolean().nullish(),
  stream_options: z
    .strictObject({
      include_usage: z.boolean().optional(),
      include_obfuscation: z.boolean().optional(),
    })
    .nullish(),
  max_tokens: tokens,
  max_completion_tokens: tokens,
  temperature: z.number().min(0).max(2).nullish(),
  n: z.literal(1).nullish(),
  logprobs: z.literal(false).nullish(),
  response_format: z.strictObject({ type: z.literal('text') }).optional(),
  modalities: z.array(z.literal('text')).nullish(),
  tools: z.array(z.never()).max(0).optional(),
  tool_choice: z.literal('none').optional(),
});

/** The body of POST /v1/chat/completions and of a batch item in this protocol. */
type CompletionsRequest = z.output<typeof completionsSchema>;

/** The protocol of OpenAI clients: unnamed chunks and an end mark. An error also ends a stream. */
export const openAiChatCompletions: Protocol<CompletionsRequest> = {
  id: 'openai.chat-completions',
  batchUrl: '/v1/chat/completions',
  recognizes: (body) => typeof body === 'object' && body !== null && 'messages' in body,
  parse: parseCompletionsRequest,
  toInput: toAgentInput,
  wantsStream: ({ stream }) => stream ?? false,
  encodeResult: toChatCompletion,
  encodeStart: (frame) => [{ data: toChunk({ role: 'assistant', content: '' }, { frame }) }],
  encodeEvent: toEvents,
  encodeError: (error, { requestId }) => ({ data: { error: toProblem(error, requestId).error } }),
};

function parseCompletionsRequest(body: unknown): CompletionsRequest {
  const request = parseRequest(completionsSchema, body);
  const { messages } = request;
  const last = messages.at(-1);
  if (last?.role !== 'user')
    throw invalidField(messages.length - 1, 'role', 'the last must be of the user');
  if (last.content.trim() === '')
    throw invalidField(messages.length - 1, 'content', 'must not be blank');
  const chars = messages.reduce((sum, message) => sum + message.content.length, 0);
  if (chars > MAX_CHARS) {
    throw new ServiceError(
      'context_too_long',
      `Cannot accept the conversation: it must have at most ${MAX_CHARS} characters`,
      { param: 'messages' },
    );
  }
  return request;
}

function invalidField(index: number, field: string, expected: string): ServiceError {
  const param = `messages.${index}.${field}`;
  return new ServiceError('invalid_request', `Cannot accept the request: "${param}": ${expected}`, {
    param,
  });
}

function toAgentInput(request: CompletionsRequest): AgentInput {
  const { messages, max_completion_tokens: newer, max_tokens: older, temperature } = request;
  return {
    messages: messages.map(({ role, content }) => ({ role, content })),
    maxOutputTokens: newer ?? older ?? undefined,
    temperature: temperature ?? undefined,
  };
}

type CompletionFrame = Frame<CompletionsRequest>;

function toChatCompletion(result: RunResult, frame: CompletionFrame) {
  return {
    ...toHead('chat.completion', frame, result.model),
    choices: [
      {
        index: 0,
        message: { role: 'assistant', content: result.text, refusal: null },
        logprobs: null,
        finish_reason: result.finishReason,
      },
    ],
    usage: toUsage(result.usage),
  };
}

function toEvents(event: AgentEvent, frame: CompletionFrame): readonly SseEvent[] {
  switch (event.type) {
    case 'text-delta':
      return [{ data: toChunk({ content: event.text }, { frame }) }];
    case 'done':
      return toLastEvents(event.result, frame);
    case 'tool-call':
    case 'tool-result':
    case 'step-end':
      // The agent runs its tools itself; in this protocol a tool call is a request to the client.
      return [];
  }
}

function toLastEvents({ finishReason, usage }: RunResult, frame: CompletionFrame) {
  const last = { data: toChunk({}, { frame, finishReason }) };
  const { stream_options: options } = frame.request;
  if (options?.include_usage !== true) return [last, { data: DONE }];
  const head = toHead('chat.completion.chunk', frame, frame.publicModel);
  return [last, { data: { ...head, choices: [], usage: toUsage(usage) } }, { data: DONE }];
}

interface ChunkOptions {
  readonly frame: CompletionFrame;
  readonly finishReason?: RunResult['finishReason'];
}

function toChunk(
  delta: { readonly role?: 'assistant'; readonly content?: string },
  { frame, finishReason }: ChunkOptions,
) {
  return {
    ...toHead('chat.completion.chunk', frame, frame.publicModel),
    choices: [{ index: 0, delta, logprobs: null, finish_reason: finishReason ?? null }],
  };
}

function toHead(object: string, { requestId, startedAt }: CompletionFrame, model: string) {
  return { id: `chatcmpl-${requestId}`, object, created: Math.floor(startedAt / 1_000), model };
}

function toUsage({ inputTokens, outputTokens, totalTokens }: TokenUsage) {
  return {
    prompt_tokens: inputTokens,
    completion_tokens: outputTokens,
    total_tokens: totalTokens,
  };
}
