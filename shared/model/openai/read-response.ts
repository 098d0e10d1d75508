import type { Readable } from 'node:stream';
import type { ModelEndpoint } from '../endpoint.ts';
import type {
  FinishReason,
  ModelResponse,
  ModelRequest,
  ModelToolCall,
  TokenUsage,
} from '../model.ts';
import { completionSchema, type CompletionUsage } from './schema.ts';
import { filteredContent, invalidAnswer, UpstreamCause } from '../upstream-error.ts';
import { parseJson } from '../../json.ts';

/** The body of an unstreamed completion as an answer; anything else is refused. */
export function readResponse(body: string, context: CompletionContext): ModelResponse {
  const parsed = completionSchema.safeParse(parseJson(body));
  if (!parsed.success) throw invalidAnswer('The body is no chat completion');
  const [choice] = parsed.data.choices;
  if (choice === undefined) throw invalidAnswer('The completion has no choices');
  const { content, refusal, tool_calls: calls } = choice.message;
  return toModelResponse(
    {
      text: content ?? refusal ?? undefined,
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

/** What an upstream said by the time it gave a reason for stopping. */
export interface RawCompletion {
  /** Undefined where it never said any text, not even an empty one. */
  readonly text: string | undefined;
  /** How long the text was, where it was not kept. */
  readonly textChars?: number;
  readonly toolCalls: readonly ModelToolCall[];
  readonly finishReason: string;
  readonly model: string | undefined;
  readonly usage: CompletionUsage;
}

export interface CompletionContext {
  readonly endpoint: ModelEndpoint;
  readonly request: ModelRequest;
}

/** The usual ratio for English text; used only where the upstream does not count. */
const CHARS_PER_TOKEN = 4;

/** The whole answer, or the reason why what came is none. */
export function toModelResponse(
  raw: RawCompletion,
  { endpoint, request }: CompletionContext,
): ModelResponse {
  const finishReason = readFinishReason(raw);
  // A tool call that the token limit cut short is no call.
  const toolCalls = finishReason === 'length' ? [] : raw.toolCalls;
  if (finishReason === 'tool_calls' && toolCalls.length === 0) {
    throw invalidAnswer('The answer promises tool calls and has none');
  }
  if (finishReason === 'stop' && raw.text === undefined) {
    throw invalidAnswer('The answer has neither text nor tool calls');
  }
  const text = raw.text ?? '';
  const textChars = raw.textChars ?? text.length;
  const counted = readUsage(raw.usage);
  return {
    text,
    ...(text.length < textChars ? { isTextDropped: true as const } : {}),
    toolCalls,
    finishReason,
    usage: counted ?? estimateUsage(request, { textChars, toolCalls }),
    ...(counted === undefined ? { usageEstimated: true } : {}),
    model: publicModelName(endpoint, raw.model),
  };
}

function readFinishReason(raw: RawCompletion): FinishReason {
  switch (raw.finishReason) {
    case 'stop':
      // Some compatible servers say "stop" after tool calls as well.
      return raw.toolCalls.length > 0 ? 'tool_calls' : 'stop';
    case 'tool_calls':
    case 'length':
      return raw.finishReason;
    case 'content_filter':
      throw filteredContent([], new UpstreamCause('The content filter cut the answer'));
    default:
      // An unknown reason may mean anything, an answer cut short included.
      throw invalidAnswer('The answer ended for an unknown reason');
  }
}

function readUsage(usage: CompletionUsage): TokenUsage | undefined {
  if (usage === null || usage === undefined) return undefined;
  const { prompt_tokens: inputTokens, completion_tokens: outputTokens } = usage;
  return {
    inputTokens,
    outputTokens,
    totalTokens: usage.total_tokens ?? inputTokens + outputTokens,
  };
}

interface GeneratedContent {
  readonly textChars: number;
  readonly toolCalls: readonly ModelToolCall[];
}

function estimateUsage(request: ModelRequest, said: GeneratedContent): TokenUsage {
  const inputChars = request.messages.reduce((sum, { content }) => sum + (content?.length ?? 0), 0);
  const callChars = said.toolCalls.reduce((sum, call) => sum + call.arguments.length, 0);
  const inputTokens = Math.ceil(inputChars / CHARS_PER_TOKEN);
  const outputTokens = Math.ceil((said.textChars + callChars) / CHARS_PER_TOKEN);
  return { inputTokens, outputTokens, totalTokens: inputTokens + outputTokens };
}

/** A deployment's name is the operator's business: it is replaced where an upstream repeats it. */
function publicModelName(endpoint: ModelEndpoint, said: string | undefined): string {
  if (endpoint.publicModelName !== undefined) return endpoint.publicModelName;
  const isDeployment = endpoint.kind === 'azure' && said === endpoint.model;
  if (said !== undefined && said !== '' && !isDeployment) return said;
  return endpoint.kind === 'azure' ? endpoint.name : endpoint.model;
}

/**
 * A whole body as text. One that is longer than the cap is refused without being read on, and its
 * connection is closed.
 *
 * @throws UpstreamFailure upstream_invalid above the cap; else whatever broke the body
 */
export function readText(body: Readable, maxBytes: number): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  body.on('data', (chunk: Uint8Array) => {
    bytes += chunk.byteLength;
    if (bytes > maxBytes) body.destroy(invalidAnswer('The body is longer than the cap'));
    else chunks.push(chunk);
  });
  body.on('end', () => resolve(new TextDecoder().decode(Buffer.concat(chunks))));
  body.on('error', reject);
  // Broken before anybody read it, or left without a word.
  function close(): void {
    if (body.readableEnded) return;
    reject(body.errored ?? new Error('The body was closed before its end'));
  }
  if (body.destroyed) close();
  else body.on('close', close);
  return promise;
}
