import { ApiError } from './api-error.ts';

export interface ChatMessage {
  readonly role: string;
  readonly text: string;
  readonly toolCallId: string | undefined;
}

export interface ToolDefinition {
  readonly name: string;
  readonly parameters: unknown;
}

/** A chat completion request after parsing, with the fields that the model uses. */
export interface ChatRequest {
  readonly model: string;
  readonly messages: readonly ChatMessage[];
  readonly stream: boolean;
  readonly includeUsage: boolean;
  readonly maxTokens: number | undefined;
  readonly stop: readonly string[];
  readonly tools: readonly ToolDefinition[];
  /** `auto`, `none`, `required`, or the name of the one tool to call. */
  readonly toolChoice: { readonly kind: 'auto' | 'none' | 'required' } | { readonly name: string };
  readonly parallelToolCalls: boolean;
  readonly responseFormat: { readonly type: string; readonly schema: unknown };
  /** The body unchanged, for models that reject a parameter. */
  readonly raw: Readonly<Record<string, unknown>>;
}

/**
 * Parses a request body.
 * @throws ApiError naming the invalid field
 */
export function parseChatRequest(body: unknown, deployment: string | undefined): ChatRequest {
  if (!isRecord(body)) throw new ApiError(400, 'The request body must be a JSON object');
  const model = deployment ?? body['model'];
  if (typeof model !== 'string' || model === '') {
    throw invalid('model', 'must be a non-empty string');
  }
  return {
    model,
    messages: parseMessages(body['messages']),
    stream: parseOptional(body, 'stream', isBoolean) ?? false,
    includeUsage:
      isRecord(body['stream_options']) && body['stream_options']['include_usage'] === true,
    maxTokens:
      parseOptional(body, 'max_completion_tokens', isCount) ??
      parseOptional(body, 'max_tokens', isCount),
    stop: parseStop(body['stop']),
    tools: parseTools(body['tools']),
    toolChoice: parseToolChoice(body['tool_choice']),
    parallelToolCalls: body['parallel_tool_calls'] !== false,
    responseFormat: parseResponseFormat(body['response_format']),
    raw: body,
  };
}

/** The last message of the user, to which the model replies. */
export function lastUserText(request: ChatRequest): string {
  return request.messages.findLast((message) => message.role === 'user')?.text ?? '';
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function parseMessages(value: unknown): ChatMessage[] {
  if (!Array.isArray(value) || value.length === 0) {
    throw invalid('messages', 'must be a non-empty array');
  }
  return value.map((message: unknown, index) => {
    if (!isRecord(message) || typeof message['role'] !== 'string') {
      throw invalid(`messages[${index}].role`, 'must be a string');
    }
    const id = message['tool_call_id'];
    return {
      role: message['role'],
      text: parseContent(message['content'], index),
      toolCallId: typeof id === 'string' ? id : undefined,
    };
  });
}

function parseContent(content: unknown, index: number): string {
  if (typeof content === 'string') return content;
  if (content === null || content === undefined) return '';
  if (!Array.isArray(content)) {
    throw invalid(`messages[${index}].content`, 'must be a string or an array of parts');
  }
  return content
    .map((part: unknown) =>
      isRecord(part) && typeof part['text'] === 'string' ? part['text'] : '',
    )
    .join('');
}

function parseStop(value: unknown): string[] {
  if (value === undefined || value === null) return [];
  const stops: unknown[] = Array.isArray(value) ? value : [value];
  return stops.map((stop) => {
    if (typeof stop !== 'string') throw invalid('stop', 'must be a string or an array of strings');
    return stop;
  });
}

function parseTools(value: unknown): ToolDefinition[] {
  if (value === undefined || value === null) return [];
  if (!Array.isArray(value)) throw invalid('tools', 'must be an array');
  return value.map((tool: unknown, index) => {
    const definition = isRecord(tool) ? tool['function'] : undefined;
    if (
      !isRecord(definition) ||
      typeof definition['name'] !== 'string' ||
      definition['name'] === ''
    ) {
      throw invalid(`tools[${index}].function.name`, 'must be a non-empty string');
    }
    return { name: definition['name'], parameters: definition['parameters'] };
  });
}

function parseToolChoice(value: unknown): ChatRequest['toolChoice'] {
  if (value === 'none' || value === 'required') return { kind: value };
  const named =
    isRecord(value) && isRecord(value['function']) ? value['function']['name'] : undefined;
  return typeof named === 'string' ? { name: named } : { kind: 'auto' };
}

function parseResponseFormat(value: unknown): ChatRequest['responseFormat'] {
  if (!isRecord(value)) return { type: 'text', schema: undefined };
  const described = value['json_schema'];
  return {
    type: typeof value['type'] === 'string' ? value['type'] : 'text',
    schema: isRecord(described) ? described['schema'] : undefined,
  };
}

function parseOptional<Value>(
  body: Record<string, unknown>,
  name: string,
  accepts: (value: unknown) => value is Value,
): Value | undefined {
  const value = body[name];
  if (value === undefined || value === null) return undefined;
  if (!accepts(value)) throw invalid(name, 'has the wrong type');
  return value;
}

function isBoolean(value: unknown): value is boolean {
  return typeof value === 'boolean';
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value > 0;
}

function invalid(param: string, wanted: string): ApiError {
  return new ApiError(400, `Invalid '${param}': ${wanted}`, { param });
}
