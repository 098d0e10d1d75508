import { APIError } from 'openai';
import type { ChatCompletionCreateParamsNonStreaming } from 'openai/resources/chat/completions';
import { mapTransportError, readErrorBody } from './map-error.ts';
import { type EndpointCall, EndpointOpenAI, mapApiError, mapClientError } from './openai-client.ts';
import { type MappedFinishReason, readResponse, readText } from './read-response.ts';
import { type EndpointEvent, readStream } from './read-stream.ts';
import type { Clock } from '../../clock.ts';
import { abortReason } from '../../resilience/abort.ts';
import type { HeaderSource } from '../../resilience/retry-after.ts';
import type { Telemetry } from '../../telemetry/telemetry.ts';
import type { HttpClient, HttpPostResponse } from '../http-client.ts';
import {
  type ContentPart,
  estimateRequestTokens,
  type ModelEndpoint,
  type ModelMessage,
  type ModelRequest,
  type ModelResponse,
  type ModelTool,
  type ResponseFormat,
  type ToolChoice,
} from '../model.ts';
import { invalidResponse, renamedTokenLimit, UpstreamFailure } from '../upstream-error.ts';

export type { EndpointCall } from './openai-client.ts';

const STREAMED = { stream: true, stream_options: { include_usage: true } } as const;

export interface ChatCompletionsClientOptions {
  readonly maxBodyBytes: number;
  readonly maxLineBytes: number;
  readonly clock: Clock;
  readonly httpClient: HttpClient;
  readonly telemetry: Telemetry;
}

/** One request for each call, without retries and time limits. Every failure is an UpstreamFailure. */
export interface EndpointClient {
  complete(request: ModelRequest, call: EndpointCall): Promise<ModelResponse>;
  stream(request: ModelRequest, call: EndpointCall): AsyncGenerator<EndpointEvent, void>;
}

/** A client of the chat completions API of OpenAI, Azure OpenAI and compatible servers. */
export function createChatCompletionsClient(
  endpoint: ModelEndpoint,
  options: ChatCompletionsClientOptions,
): EndpointClient {
  const client = new EndpointOpenAI(endpoint, options.httpClient);
  const onMappedFinishReason = createFinishReasonLog(endpoint, options.telemetry);
  const firstName = firstTokenLimitName(endpoint);
  let tokenLimitName = firstName;

  function toFailure(error: APIError, { usedName, request }: SentRequest): UpstreamFailure {
    if (error.status === 400 && isTokenLimitNameRejected(error.error, usedName)) {
      // The client keeps the other name: only the first call to an endpoint costs an extra request.
      tokenLimitName = otherTokenLimitName(firstName);
      if (usedName === firstName) return renamedTokenLimit();
    }
    const now = options.clock.now();
    return mapApiError(error, { now, request, requestedTokens: estimateRequestTokens(request) });
  }

  async function open(request: ModelRequest, call: OpenCall): Promise<HttpPostResponse> {
    const usedName = tokenLimitName;
    const params = toRequestParams(request, { model: endpoint.model, tokenLimitName: usedName });
    try {
      return await client.createCompletion(call.stream ? { ...params, ...STREAMED } : params, call);
    } catch (thrown) {
      if (call.signal.aborted) throw abortReason(call.signal);
      throw thrown instanceof APIError
        ? toFailure(thrown, { usedName, request })
        : mapClientError(thrown);
    }
  }

  return {
    async complete(request, call) {
      const { body } = await open(request, { ...call, stream: false });
      const text = await readText(body, options.maxBodyBytes).catch((thrown: unknown) => {
        if (call.signal.aborted) throw abortReason(call.signal);
        throw thrown instanceof UpstreamFailure ? thrown : mapTransportError(thrown);
      });
      return readResponse(text, { endpoint, request, onMappedFinishReason });
    },
    async *stream(request, call) {
      const { headers, body } = await open(request, { ...call, stream: true });
      if (!isEventStream(headers)) {
        body.destroy();
        throw invalidResponse('The response to a streamed request is not an event stream');
      }
      const { maxBodyBytes: maxChars, maxLineBytes } = options;
      yield* readStream(body, {
        endpoint,
        request,
        onMappedFinishReason,
        maxChars,
        maxLineBytes,
      });
    },
  };
}

/** Logs each finish reason of an endpoint that is not one of OpenAI, once. */
function createFinishReasonLog(
  { name }: ModelEndpoint,
  telemetry: Telemetry,
): (mapped: MappedFinishReason) => void {
  const logged = new Set<string>();
  return ({ reported, mapped }) => {
    if (logged.has(reported)) return;
    logged.add(reported);
    telemetry.warn('model finish reason mapped', { endpoint: name, reported, mapped });
  };
}

interface SentRequest {
  readonly request: ModelRequest;
  readonly usedName: TokenLimitName;
}

interface OpenCall extends EndpointCall {
  readonly stream: boolean;
}

function isEventStream(headers: HeaderSource): boolean {
  const contentType = headers.get('content-type');
  return contentType === null || contentType.toLowerCase().includes('text/event-stream');
}

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
