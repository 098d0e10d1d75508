import type { TokenUsage } from '../model/model.ts';
import type { Item, ItemPart } from './openai-responses-items.ts';
import type { ResponsesRequest } from './openai-responses-request.ts';
import type { ResponsesParams } from './openai-responses-schema.ts';

export type ResponseStatus =
  | 'queued'
  | 'in_progress'
  | 'completed'
  | 'failed'
  | 'incomplete'
  | 'cancelled';

/** How far a response is. */
export interface ResponseState {
  readonly status: ResponseStatus;
  readonly output: readonly Item[];
  readonly usage?: TokenUsage | undefined;
  /** Epoch milliseconds; only of a completed response. */
  readonly completedAt?: number | undefined;
  /** Only of a failed response. */
  readonly error?: { readonly code: string; readonly message: string } | undefined;
  /** Only of an incomplete response. */
  readonly reason?: 'max_output_tokens' | 'content_filter' | undefined;
}

export interface ResponseHead {
  readonly request: ResponsesRequest;
  /** Epoch milliseconds. */
  readonly startedAt: number;
  readonly publicModel: string;
}

/** The response as clients read it: every field is present, those without a value as null. */
export function toResource(
  { request: { id, params, isStored }, startedAt, publicModel }: ResponseHead,
  { status, output, usage, completedAt, error, reason }: ResponseState,
) {
  return {
    id,
    object: 'response',
    created_at: toSeconds(startedAt),
    completed_at: completedAt === undefined ? null : toSeconds(completedAt),
    status,
    incomplete_details: reason === undefined ? null : { reason },
    error: error === undefined ? null : { code: error.code, message: error.message },
    model: publicModel,
    output: output.map(encodeItem),
    usage: usage === undefined ? null : toUsage(usage),
    store: isStored,
    ...echoState(params),
    ...echoParams(params),
  };
}

/** The response, with `status` and `output` in their types for the code that stores it. */
export type ResponseResource = ReturnType<typeof toResource>;

function toSeconds(ms: number): number {
  return Math.floor(ms / 1_000);
}

function echoState(params: ResponsesParams) {
  const { conversation, background = false } = params;
  return {
    previous_response_id: params.previous_response_id ?? null,
    ...(conversation === undefined ? {} : { conversation: { id: conversation } }),
    background,
  };
}

/** What a request leaves out has the value that it has by default; a number is never null. */
function echoParams(params: ResponsesParams) {
  return {
    instructions: params.instructions ?? null,
    tools: (params.tools ?? []).map(({ name, description, parameters, strict }) => ({
      type: 'function',
      name,
      description: description ?? null,
      parameters: parameters ?? null,
      strict: strict ?? null,
    })),
    tool_choice: echoToolChoice(params.tool_choice),
    truncation: params.truncation ?? 'disabled',
    parallel_tool_calls: params.parallel_tool_calls ?? true,
    text: echoText(params.text),
    top_p: params.top_p ?? 1,
    presence_penalty: params.presence_penalty ?? 0,
    frequency_penalty: params.frequency_penalty ?? 0,
    top_logprobs: 0,
    temperature: params.temperature ?? 1,
    reasoning: echoReasoning(params.reasoning),
    max_output_tokens: params.max_output_tokens ?? null,
    max_tool_calls: params.max_tool_calls ?? null,
    service_tier: params.service_tier ?? 'default',
    metadata: { ...params.metadata },
    safety_identifier: params.safety_identifier ?? null,
    prompt_cache_key: params.prompt_cache_key ?? null,
  };
}

function echoToolChoice(choice: ResponsesParams['tool_choice'] = 'auto') {
  if (typeof choice === 'string') return choice;
  if (choice.type === 'function') return { type: 'function', name: choice.name };
  const tools = choice.tools.map(({ name }) => ({ type: 'function', name }));
  return { type: 'allowed_tools', mode: choice.mode, tools };
}

function echoText(text: ResponsesParams['text']) {
  const { format, verbosity } = text ?? {};
  return { format: echoFormat(format), ...(verbosity === undefined ? {} : { verbosity }) };
}

type Format = NonNullable<ResponsesParams['text']>['format'];

function echoFormat(format: Format) {
  if (format?.type !== 'json_schema') return { type: format?.type ?? 'text' };
  const { name, description = null, strict = false } = format;
  // The specification has no value but null for the schema.
  return { type: 'json_schema', name, description, schema: null, strict };
}

function echoReasoning(reasoning: ResponsesParams['reasoning']) {
  if (reasoning === undefined) return null;
  return { effort: reasoning.effort ?? null, summary: reasoning.summary ?? null };
}

function toUsage({ inputTokens, outputTokens, totalTokens, cachedInputTokens = 0 }: TokenUsage) {
  return {
    input_tokens: inputTokens,
    output_tokens: outputTokens,
    total_tokens: totalTokens,
    input_tokens_details: { cached_tokens: cachedInputTokens },
    // Endpoints count them as output tokens.
    output_tokens_details: { reasoning_tokens: 0 },
  };
}

/** An item, field by field. */
export function encodeItem(item: Item) {
  switch (item.type) {
    case 'message': {
      const { type, id, status, role, content, phase } = item;
      const parts = content.map(encodePart);
      return { type, id, status, role, content: parts, ...(phase === undefined ? {} : { phase }) };
    }
    case 'function_call': {
      const { type, id, status, call_id, name } = item;
      return { type, id, status, call_id, name, arguments: item.arguments };
    }
    case 'function_call_output': {
      const { type, id, status, call_id, output } = item;
      return { type, id, status, call_id, output };
    }
    case 'reasoning': {
      const { type, id, summary, content, encrypted_content } = item;
      return {
        type,
        id,
        summary,
        ...(content === undefined ? {} : { content }),
        ...(encrypted_content === undefined ? {} : { encrypted_content }),
      };
    }
  }
}

export function encodePart(part: ItemPart) {
  switch (part.type) {
    case 'input_text':
      return { type: part.type, text: part.text };
    case 'input_image':
      return { type: part.type, image_url: part.image_url, detail: part.detail };
    case 'input_file':
      return { type: part.type, filename: part.filename, file_data: part.file_data };
    case 'output_text':
      return { type: part.type, text: part.text, annotations: [], logprobs: [] };
    case 'refusal':
      return { type: part.type, refusal: part.refusal };
  }
}
