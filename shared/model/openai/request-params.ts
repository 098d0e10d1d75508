import type { ChatCompletionCreateParamsNonStreaming } from 'openai/resources/chat/completions';
import type { ContentPart, ModelMessage, ModelRequest, ResponseFormat } from '../model.ts';
import type { ModelTool, ToolChoice } from '../model.ts';
import { readErrorBody } from './map-error.ts';

type Params = ChatCompletionCreateParamsNonStreaming;
type Message = Params['messages'][number];

export interface ParamsOptions {
  /** Model or deployment. */
  readonly model: string;
  readonly tokenLimitName: TokenLimitName;
}

/** The body of a chat completions request. Undefined parameters are left out. */
export function toRequestParams(request: ModelRequest, options: ParamsOptions): Params {
  const { tools = [], toolChoice, parallelToolCalls, responseFormat } = request;
  const hasTools = tools.length > 0;
  return {
    model: options.model,
    messages: request.messages.map(toMessage),
    ...withoutUndefined({
      [options.tokenLimitName]: request.maxOutputTokens,
      temperature: request.temperature,
      top_p: request.topP,
      presence_penalty: request.presencePenalty,
      frequency_penalty: request.frequencyPenalty,
      seed: request.seed,
      stop: request.stop && [...request.stop],
      reasoning_effort: request.reasoningEffort,
      verbosity: request.verbosity,
      response_format: responseFormat && toResponseFormat(responseFormat),
      tools: hasTools ? tools.map(toTool) : undefined,
      // Without tools both are errors at some endpoints.
      tool_choice: hasTools && toolChoice !== undefined ? toToolChoice(toolChoice) : undefined,
      parallel_tool_calls: hasTools ? parallelToolCalls : undefined,
    }),
  };
}

function toMessage(message: ModelMessage): Message {
  switch (message.role) {
    case 'tool':
      return { role: 'tool', tool_call_id: message.toolCallId, content: message.content };
    case 'assistant': {
      const { content, toolCalls = [] } = message;
      if (toolCalls.length === 0) return { role: 'assistant', content };
      return {
        role: 'assistant',
        content,
        tool_calls: toolCalls.map((call) => ({
          id: call.id,
          type: 'function' as const,
          function: { name: call.name, arguments: call.arguments },
        })),
      };
    }
    case 'user': {
      const { content } = message;
      return {
        role: 'user',
        content: typeof content === 'string' ? content : content.map(toContentPart),
      };
    }
    default:
      return { role: 'system', content: message.content };
  }
}

function toContentPart(part: ContentPart) {
  if (part.type === 'text') return { type: 'text' as const, text: part.text };
  if (part.type === 'file') {
    return { type: 'file' as const, file: { filename: part.filename, file_data: part.data } };
  }
  const { url, detail } = part;
  return { type: 'image_url' as const, image_url: { url, ...withoutUndefined({ detail }) } };
}

function toTool({ name, description, parameters, strict }: ModelTool) {
  return {
    type: 'function' as const,
    function: {
      name,
      parameters: { ...parameters },
      ...withoutUndefined({ description, strict }),
    },
  };
}

function toToolChoice(choice: ToolChoice) {
  if (typeof choice === 'string') return choice;
  return { type: 'function' as const, function: { name: choice.name } };
}

function toResponseFormat(format: ResponseFormat) {
  if (format.type !== 'json_schema') return { type: format.type };
  const { name, description, schema, strict } = format;
  return {
    type: format.type,
    json_schema: { name, schema: { ...schema }, ...withoutUndefined({ description, strict }) },
  };
}

type Defined<T> = { [K in keyof T]?: Exclude<T[K], undefined> };

/** The same object without its undefined members. */
function withoutUndefined<T extends object>(members: T): Defined<T> {
  const defined: Defined<T> = {};
  for (const name of Object.keys(members) as (keyof T)[]) {
    const value = members[name];
    if (isDefined(value)) defined[name] = value;
  }
  return defined;
}

function isDefined<T>(value: T): value is Exclude<T, undefined> {
  return value !== undefined;
}

/** The two names of the token limit. Some endpoints reject the one, some the other. */
export type TokenLimitName = 'max_completion_tokens' | 'max_tokens';

/** Reasoning models accept the newer name only, older compatible servers the older one only. */
export function firstTokenLimitName(endpoint: {
  readonly kind: 'openai' | 'azure';
  readonly baseUrl: string;
}): TokenLimitName {
  const isOfficial =
    endpoint.kind === 'azure' || URL.parse(endpoint.baseUrl)?.hostname === 'api.openai.com';
  return isOfficial ? 'max_completion_tokens' : 'max_tokens';
}

export function otherTokenLimitName(name: TokenLimitName): TokenLimitName {
  return name === 'max_tokens' ? 'max_completion_tokens' : 'max_tokens';
}

/** Whether the error of a 400 rejects the parameter name rather than its value. */
export function isTokenLimitNameRejected(error: unknown, name: TokenLimitName): boolean {
  const { code, param, message } = readErrorBody(error);
  const mentionsName = param === name || new RegExp(`\\b${name}\\b`).test(message);
  const isUnknown = /unsupported|not supported|unknown|unrecognized|not permitted|unexpected/i;
  return mentionsName && (isUnknown.test(code) || isUnknown.test(message));
}
