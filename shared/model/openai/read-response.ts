import type { Readable } from 'node:stream';
import type { ModelEndpoint } from '../endpoint.ts';
import type {
  FinishReason,
  ModelRequest,
  ModelResponse,
  ModelToolCall,
  TokenUsage,
} from '../model.ts';
import { type CompletionUsage, completionSchema } from './schema.ts';
import { estimateUsage } from './usage.ts';
import { filteredContent, invalidResponse, UpstreamCause } from '../upstream-error.ts';
import { parseJson } from '../../json.ts';

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

/** The content of a completion that ended with a finish reason. */
export interface RawCompletion {
  /** Undefined where the endpoint sent no text, not even an empty one. */
  readonly text: string | undefined;
  /** Length of the text where it was not kept. */
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

/** @throws UpstreamFailure where the completion is not a usable response */
export function toModelResponse(
  raw: RawCompletion,
  { endpoint, request }: CompletionContext,
): ModelResponse {
  const finishReason = readFinishReason(raw);
  // A tool call that the token limit cut short is incomplete.
  const toolCalls = finishReason === 'length' ? [] : raw.toolCalls;
  if (finishReason === 'tool_calls' && toolCalls.length === 0) {
    throw invalidResponse('The finish reason is tool_calls but there are none');
  }
  if (finishReason === 'stop' && raw.text === undefined) {
    throw invalidResponse('The response has neither text nor tool calls');
  }
  const text = raw.text ?? '';
  const textChars = raw.textChars ?? text.length;
  const usage = readUsage(raw.usage);
  return {
    text,
    ...(text.length < textChars ? { isTextDropped: true as const } : {}),
    toolCalls,
    finishReason,
    usage: usage ?? estimateUsage(request, { textChars, toolCalls }),
    ...(usage === undefined ? { usageEstimated: true } : {}),
    model: publicModelName(endpoint, raw.model),
  };
}

function readFinishReason(raw: RawCompletion): FinishReason {
  switch (raw.finishReason) {
    case 'stop':
      // Some compatible servers send "stop" after tool calls as well.
      return raw.toolCalls.length > 0 ? 'tool_calls' : 'stop';
    case 'tool_calls':
    case 'length':
      return raw.finishReason;
    case 'content_filter':
      throw filteredContent([], new UpstreamCause('The content filter cut the response'));
    default:
      // An unknown reason may stand for an incomplete response.
      throw invalidResponse('The finish reason is unknown');
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

/** The name of a deployment is not public: it is replaced where Azure reports it as the model. */
function publicModelName(endpoint: ModelEndpoint, reported: string | undefined): string {
  if (endpoint.publicModelName !== undefined) return endpoint.publicModelName;
  const isDeployment = endpoint.kind === 'azure' && reported === endpoint.model;
  if (reported !== undefined && reported !== '' && !isDeployment) return reported;
  return endpoint.kind === 'azure' ? endpoint.name : endpoint.model;
}

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
  body.on('end', () => resolve(new TextDecoder().decode(Buffer.concat(chunks))));
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
