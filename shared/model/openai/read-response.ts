import type { Readable } from 'node:stream';
import { completionSchema, type CompletionUsage } from './schema.ts';
import {
  estimateUsage,
  type FinishReason,
  type ModelEndpoint,
  type ModelRequest,
  type ModelResponse,
  type ModelToolCall,
  type TokenUsage,
} from '../model.ts';
import { parseJson } from '../../json.ts';
import {
  filteredContent,
  interruptedResponse,
  invalidResponse,
  UpstreamCause,
  type UpstreamFailure,
} from '../upstream-error.ts';

/**
 * The response in the body of a completion that is not streamed.
 *
 * @throws UpstreamFailure upstream_invalid or content_filtered
 */
export function readResponse(body: string, context: CompletionContext): ModelResponse {
  const parsed = completionSchema.safeParse(parseJson(body));
  if (!parsed.success) throw invalidResponse('The body is not a chat completion');
  const [choice] = parsed.data.choices;
  if (choice === undefined) throw invalidResponse('The completion has no choices');
  const { content, refusal, tool_calls: calls, function_call: functionCall } = choice.message;
  return toModelResponse(
    {
      text: content?.toWellFormed(),
      refusal: refusal?.toWellFormed(),
      hasFunctionCall: functionCall !== undefined && functionCall !== null,
      toolCalls: (calls ?? []).map(({ id, function: { name, arguments: text } }) => ({
        id,
        name,
        arguments: text,
      })),
      finishReason: choice.finish_reason,
      model: parsed.data.model,
      usage: parsed.data.usage,
    },
    context,
  );
}

/** The content of a completion that ended with a finish reason. */
export interface RawCompletion {
  /** Undefined where the endpoint sent no content, not even an empty one. */
  readonly text: string | undefined;
  readonly refusal?: string | undefined;
  /** Length of text and refusal where they were not kept. */
  readonly textChars?: number;
  readonly hasFunctionCall?: boolean;
  readonly toolCalls: readonly ModelToolCall[];
  readonly finishReason: string;
  readonly model: string | undefined;
  readonly usage: CompletionUsage;
}

export interface CompletionContext {
  readonly endpoint: ModelEndpoint;
  readonly request: ModelRequest;
  readonly onMappedFinishReason: (mapped: MappedFinishReason) => void;
}

/** @throws UpstreamFailure where the completion is not a usable response */
export function toModelResponse(raw: RawCompletion, context: CompletionContext): ModelResponse {
  const { endpoint, request } = context;
  const reason = readFinishReason(raw.finishReason, context.onMappedFinishReason);
  const hasToolCalls = raw.toolCalls.length > 0;
  if (raw.hasFunctionCall === true || (hasToolCalls && !request.tools?.length)) {
    throw invalidResponse('The model called a tool that the request does not offer');
  }
  // Some compatible servers send "stop" after tool calls as well.
  const finishReason = reason === 'stop' && hasToolCalls ? 'tool_calls' : reason;
  // A tool call that the token limit cut short is incomplete.
  const toolCalls = finishReason === 'length' ? [] : raw.toolCalls;
  if (finishReason === 'tool_calls' && !hasToolCalls) {
    throw invalidResponse('The finish reason is tool_calls but there are none');
  }
  if (finishReason === 'stop' && raw.text === undefined && !raw.refusal) {
    throw invalidResponse('The response has neither text nor tool calls');
  }
  const text = raw.text || (raw.refusal ?? '');
  const textChars = raw.textChars ?? text.length;
  const usage = readUsage(raw.usage);
  return {
    text,
    ...(raw.refusal ? { refusal: raw.refusal } : {}),
    ...(text.length < textChars ? { isTextDropped: true as const } : {}),
    toolCalls,
    finishReason,
    usage: usage ?? estimateUsage(request, { textChars, toolCalls }),
    ...(usage === undefined ? { usageEstimated: true } : {}),
    model: publicModelName(endpoint, raw.model),
  };
}

function readUsage(usage: CompletionUsage): TokenUsage | undefined {
  if (usage === null || usage === undefined) return undefined;
  const { prompt_tokens: inputTokens, completion_tokens: outputTokens } = usage;
  const cached =
    usage.prompt_tokens_details?.cached_tokens ??
    usage.prompt_cache_hit_tokens ??
    usage.cache_read_input_tokens ??
    undefined;
  return {
    inputTokens,
    outputTokens,
    totalTokens: usage.total_tokens ?? inputTokens + outputTokens,
    ...(cached === undefined ? {} : { cachedInputTokens: Math.min(cached, inputTokens) }),
  };
}

/** The name of a deployment is not public: it is replaced where Azure reports it as the model. */
function publicModelName(endpoint: ModelEndpoint, reported: string | undefined): string {
  if (endpoint.publicModelName !== undefined) return endpoint.publicModelName;
  const isDeployment = endpoint.kind === 'azure' && reported === endpoint.model;
  if (reported !== undefined && reported !== '' && !isDeployment) return reported;
  return endpoint.kind === 'azure' ? endpoint.name : endpoint.model;
}

const UTF8 = new TextDecoder();

/**
 * Reads a whole body as text. It stops at the cap and closes the connection.
 *
 * @throws UpstreamFailure upstream_invalid above the cap; otherwise the error of the body
 */
export function readText(body: Readable, maxBytes: number): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  body.on('data', (chunk: Uint8Array) => {
    bytes += chunk.byteLength;
    if (bytes > maxBytes) body.destroy(invalidResponse('The body is longer than the cap'));
    else chunks.push(chunk);
  });
  body.on('end', () => resolve(UTF8.decode(Buffer.concat(chunks))));
  body.on('error', reject);
  // The body may be destroyed without an error, also before this function runs.
  function close(): void {
    if (body.readableEnded) return;
    reject(body.errored ?? new Error('The body was closed before its end'));
  }
  if (body.destroyed) close();
  else body.on('close', close);
  return promise;
}

/**
 * Finish reasons of OpenAI, and the names that compatible servers use for them, in lower case. The
 * table is documented in docs/model-endpoints.md. A name that is missing here may stand for an
 * incomplete response, so it makes the response invalid.
 */
export const FINISH_REASONS = {
  stop: [
    'stop',
    'eos',
    'eos_token',
    'end_turn',
    'end_of_turn',
    'end_of_text',
    'end',
    'stop_sequence',
    'stop_token',
    'complete',
    'completed',
    'done',
    'finish',
    'finished',
    'normal',
  ],
  length: [
    'length',
    'max_tokens',
    'max_length',
    'max_output_tokens',
    'max_completion_tokens',
    'max_new_tokens',
    'model_length',
    'token_limit',
    'context_length',
    'model_context_window_exceeded',
  ],
  tool_calls: ['tool_calls', 'tool_call', 'tool_use', 'function_call', 'function_calls'],
  content_filter: [
    'content_filter',
    'content_filtered',
    'safety',
    'recitation',
    'blocklist',
    'prohibited_content',
    'spii',
    'guardrail_intervened',
    'refusal',
  ],
  interrupted: [
    'error',
    'abort',
    'aborted',
    'cancelled',
    'canceled',
    'network_error',
    'insufficient_system_resource',
    'malformed_function_call',
  ],
} as const satisfies Record<string, readonly string[]>;

type Meaning = keyof typeof FINISH_REASONS;

const MEANINGS: ReadonlyMap<string, Meaning> = new Map(
  Object.entries(FINISH_REASONS).flatMap(([meaning, names]) =>
    names.map((name) => [name, meaning as Meaning] as const),
  ),
);

/** A finish reason that is not one of OpenAI, and its meaning here. */
export interface MappedFinishReason {
  readonly reported: string;
  readonly mapped: Meaning;
}

/** @throws UpstreamFailure where the response is filtered, interrupted, or ended for no known reason */
export function readFinishReason(
  reported: string,
  onMapped: (mapped: MappedFinishReason) => void,
): FinishReason {
  const meaning = MEANINGS.get(reported.toLowerCase());
  if (meaning === undefined) throw invalidResponse('The finish reason is unknown');
  if (meaning !== reported) onMapped({ reported, mapped: meaning });
  if (meaning === 'content_filter' || meaning === 'interrupted') throw failureOf(meaning);
  return meaning;
}

function failureOf(meaning: 'content_filter' | 'interrupted'): UpstreamFailure {
  return meaning === 'content_filter'
    ? filteredContent([], new UpstreamCause('The content filter cut the response'))
    : interruptedResponse('The endpoint ended the response with an error');
}
