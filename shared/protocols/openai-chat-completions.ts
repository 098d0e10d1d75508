import * as z from 'zod';
import type { AgentInput, RunResult, Message } from '../agent/agent.ts';
import { ServiceError } from '../errors.ts';
import type { TokenUsage } from '../model/model.ts';
import { parseRequest } from './validation.ts';

/** Together about 25,000 tokens: more belongs into a file or a batch. */
const MAX_CHARS = 100_000;
const MAX_MESSAGES = 256;
const MAX_PARTS = 64;

const textPart = z.strictObject({ type: z.literal('text'), text: z.string() });
const content = z.union(
  [z.string(), z.array(textPart).min(1).max(MAX_PARTS)],
  'must be text or a list of text parts',
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
    // Clients send back what they were given.
    annotations: z.array(z.unknown()).max(0).optional(),
  }),
]);

const tokens = z.int().min(1).max(128_000).nullish();

/** Accepted because clients send them by habit; how the agent samples is not theirs to say. */
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

/** What would change the meaning of the answer is accepted only where it asks for what we do. */
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

/** The body of POST /v1/chat/completions, and of a batch item in that dialect. */
export interface CompletionsRequest {
  readonly question: AgentInput;
  readonly stream: boolean;
  readonly includeUsage: boolean;
}

/** Whether a body is meant for this dialect rather than for `{"message"}`. */
export function looksLikeCompletions(body: unknown): boolean {
  return typeof body === 'object' && body !== null && 'messages' in body;
}

/** @throws ServiceError invalid_request naming the field, or context_too_long */
export function parseCompletionsRequest(body: unknown): CompletionsRequest {
  const parsed = parseRequest(completionsSchema, body);
  const said = parsed.messages.map((message): Message => {
    return { role: message.role, content: textOf(message.content) };
  });
  const last = said.at(-1);
  if (last?.role !== 'user')
    throw invalidField(said.length - 1, 'role', 'the last must be of the user');
  if (last.content.trim() === '')
    throw invalidField(said.length - 1, 'content', 'must not be blank');
  const chars = said.reduce((sum, one) => sum + one.content.length, 0);
  if (chars > MAX_CHARS) {
    throw new ServiceError(
      'context_too_long',
      `Cannot accept the conversation: it must have at most ${MAX_CHARS} characters`,
      { param: 'messages' },
    );
  }
  return {
    question: {
      message: last.content,
      earlier: said.slice(0, -1),
      maxOutputTokens: parsed.max_completion_tokens ?? parsed.max_tokens ?? undefined,
      temperature: parsed.temperature ?? undefined,
    },
    stream: parsed.stream ?? false,
    includeUsage: parsed.stream_options?.include_usage ?? false,
  };
}

function textOf(value: z.output<typeof content>): string {
  return typeof value === 'string' ? value : value.map(({ text }) => text).join('');
}

function invalidField(index: number, field: string, wanted: string): ServiceError {
  const param = `messages.${index}.${field}`;
  return new ServiceError('invalid_request', `Cannot accept the request: "${param}": ${wanted}`, {
    param,
  });
}

/** What all parts of one answer have in common. */
export interface CompletionFrame {
  /** Quoted by callers; the request id makes it findable in the log. */
  readonly requestId: string;
  /** Seconds since the epoch. */
  readonly created: number;
}

/** A whole answer in the shape that OpenAI clients read. */
export function toChatCompletion(reply: RunResult, frame: CompletionFrame) {
  return {
    ...head('chat.completion', frame, reply.model),
    choices: [
      {
        index: 0,
        message: { role: 'assistant', content: reply.response, refusal: null },
        logprobs: null,
        finish_reason: reply.finishReason,
      },
    ],
    usage: toUsage(reply.usage),
  };
}

/** One piece of a streamed answer. */
export function toChunk(
  delta: { readonly role?: 'assistant'; readonly content?: string },
  { frame, model, finishReason = null }: ChunkOptions,
) {
  return {
    ...head('chat.completion.chunk', frame, model),
    choices: [{ index: 0, delta, logprobs: null, finish_reason: finishReason }],
  };
}

/** The last piece of a stream whose caller asked for the usage. */
export function toUsageChunk(reply: RunResult, frame: CompletionFrame) {
  return {
    ...head('chat.completion.chunk', frame, reply.model),
    choices: [],
    usage: toUsage(reply.usage),
  };
}

interface ChunkOptions {
  readonly frame: CompletionFrame;
  readonly model: string;
  readonly finishReason?: RunResult['finishReason'] | null;
}

function head(object: string, { requestId, created }: CompletionFrame, model: string) {
  return { id: `chatcmpl-${requestId}`, object, created, model };
}

function toUsage({ inputTokens, outputTokens, totalTokens }: TokenUsage) {
  return {
    prompt_tokens: inputTokens,
    completion_tokens: outputTokens,
    total_tokens: totalTokens,
  };
}
