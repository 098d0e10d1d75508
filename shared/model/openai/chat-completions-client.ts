import type { ChatCompletionCreateParamsNonStreaming } from 'openai/resources/chat/completions';
import * as z from 'zod';
import type { Clock } from '../../clock.ts';
import { ServiceError } from '../../errors.ts';
import type { ModelEndpoint } from '../endpoint.ts';
import type { HttpPost, HttpPostResponse } from '../http-client.ts';
import type { ModelResponse, ModelMessage, ModelRequest } from '../model.ts';
import {
  mapStatus,
  mapTransportError,
  misconfigured,
  readErrorBody,
  type RefusedResponse,
} from './map-error.ts';
import { readResponse, readText } from './read-response.ts';
import { type EndpointEvent, readStream } from './read-stream.ts';
import {
  invalidAnswer,
  credentialUnavailable,
  renamedTokenLimit,
  toUpstreamFailure,
  UpstreamFailure,
} from '../upstream-error.ts';
import { abortReason, raceAbort } from '../../resilience/abort.ts';
import type { HeaderSource } from '../../resilience/retry-after.ts';
import { parseJson } from '../../json.ts';

/** Enough for code and message. A longer error body is no answer of an API, and is not read. */
const MAX_ERROR_BYTES = 64 * 1024;
const STREAMED = { stream: true, stream_options: { include_usage: true } } as const;
const refusalSchema = z.object({ error: z.unknown() });

export interface ChatCompletionsClientOptions {
  readonly maxBodyBytes: number;
  readonly maxLineBytes: number;
  readonly clock: Clock;
  /** The way to the address of the endpoint. */
  readonly send: HttpPost;
}

/** One call to one endpoint. */
export interface EndpointCall {
  /** Ends the call and closes its socket. */
  readonly signal: AbortSignal;
  readonly traceparent?: string | undefined;
}

/** One HTTP call per call, no retries and no time limits: every failure is an UpstreamFailure. */
export interface EndpointClient {
  complete(request: ModelRequest, call: EndpointCall): Promise<ModelResponse>;
  stream(request: ModelRequest, call: EndpointCall): AsyncGenerator<EndpointEvent, void>;
}

/** Speaks chat completions to OpenAI, Azure OpenAI and compatible servers. */
export function createChatCompletionsClient(
  endpoint: ModelEndpoint,
  options: ChatCompletionsClientOptions,
): EndpointClient {
  const firstName = firstTokenLimitName(endpoint);
  let tokenLimitName = firstName;

  /** What the other name of the token limit can mend is thrown as just that. */
  function refusal(refused: RefusedResponse, usedName: TokenLimitName): UpstreamFailure {
    const { status, error } = refused;
    if (status === 400 && isTokenLimitNameRefused(error, usedName)) {
      // Learned once and kept: only the first call to an endpoint pays for it.
      tokenLimitName = otherTokenLimitName(firstName);
      if (usedName === firstName) return renamedTokenLimit();
    }
    return mapStatus(refused);
  }

  async function open(
    { request, stream }: SendOptions,
    call: EndpointCall,
  ): Promise<HttpPostResponse> {
    const usedName = tokenLimitName;
    const params = toOpenAiParams(request, { model: endpoint.model, tokenLimitName: usedName });
    const body = JSON.stringify(stream ? { ...params, ...STREAMED } : params);
    const headers = await readHeaders(endpoint, call);
    const response = await options
      .send({ headers, body, signal: call.signal })
      .catch((thrown: unknown) => {
        if (call.signal.aborted) throw abortReason(call.signal);
        if (thrown instanceof TypeError) throw misconfigured('The request could not be sent');
        throw mapTransportError(thrown);
      });
    const { status } = response;
    if (status >= 200 && status < 300) return response;
    const error = await readError(response);
    if (call.signal.aborted) throw abortReason(call.signal);
    const now = options.clock.now();
    throw refusal({ status, headers: response.headers, error, now }, usedName);
  }

  return {
    async complete(request, call) {
      const { body } = await open({ request, stream: false }, call);
      const text = await readText(body, options.maxBodyBytes).catch((thrown: unknown) => {
        if (call.signal.aborted) throw abortReason(call.signal);
        throw thrown instanceof UpstreamFailure ? thrown : mapTransportError(thrown);
      });
      return readResponse(text, { endpoint, request });
    },
    async *stream(request, call) {
      const { headers, body } = await open({ request, stream: true }, call);
      if (!isEventStream(headers)) {
        body.destroy();
        throw invalidAnswer('The answer to a streamed request is no event stream');
      }
      const { maxBodyBytes: maxChars, maxLineBytes } = options;
      yield* readStream(body, { endpoint, request, maxChars, maxLineBytes });
    },
  };
}

interface SendOptions {
  readonly request: ModelRequest;
  readonly stream: boolean;
}

async function readHeaders(
  endpoint: ModelEndpoint,
  call: EndpointCall,
): Promise<Record<string, string>> {
  const { traceparent } = call;
  return {
    accept: 'application/json',
    // Nothing here decodes, and no wish at all would allow any encoding.
    'accept-encoding': 'identity',
    'content-type': 'application/json',
    'user-agent': 'serverless-agent',
    ...credentialHeader(endpoint, await readSecret(endpoint, call.signal)),
    ...(traceparent === undefined ? {} : { traceparent }),
  };
}

/** The credential in the header that the endpoint expects. */
function credentialHeader(endpoint: ModelEndpoint, secret: string): Record<string, string> {
  const isAzureKey = endpoint.kind === 'azure' && endpoint.credential === 'key';
  return isAzureKey ? { 'api-key': secret } : { authorization: `Bearer ${secret}` };
}

async function readSecret(endpoint: ModelEndpoint, signal: AbortSignal): Promise<string> {
  try {
    return await raceAbort(endpoint.apiKey(), signal);
  } catch (thrown) {
    if (signal.aborted) throw abortReason(signal);
    if (thrown instanceof ServiceError) throw toUpstreamFailure(thrown);
    throw credentialUnavailable(thrown);
  }
}

/** What a body says of why not; a body that cannot be read says nothing. */
async function readError({ body }: HttpPostResponse): Promise<unknown> {
  const text = await readText(body, MAX_ERROR_BYTES).catch(() => '');
  const said = parseJson(text);
  // Some compatible servers leave out the envelope.
  return refusalSchema.safeParse(said).data?.error ?? said;
}

function isEventStream(headers: HeaderSource): boolean {
  const contentType = headers.get('content-type');
  return contentType === null || contentType.toLowerCase().includes('text/event-stream');
}

type OpenAiParams = ChatCompletionCreateParamsNonStreaming;
type OpenAiMessage = OpenAiParams['messages'][number];

export interface ParamsOptions {
  /** Model or deployment. */
  readonly model: string;
  readonly tokenLimitName: TokenLimitName;
}

/** A request in the words of chat completions; what was not asked for is not sent. */
export function toOpenAiParams(request: ModelRequest, context: ParamsOptions): OpenAiParams {
  const { maxOutputTokens, temperature, tools } = request;
  return {
    model: context.model,
    messages: request.messages.map(toOpenAiMessage),
    ...(maxOutputTokens === undefined ? {} : { [context.tokenLimitName]: maxOutputTokens }),
    ...(temperature === undefined ? {} : { temperature }),
    ...(tools === undefined || tools.length === 0
      ? {}
      : {
          tools: tools.map(({ name, description, parameters }) => ({
            type: 'function' as const,
            function: { name, description, parameters: { ...parameters } },
          })),
        }),
  };
}

function toOpenAiMessage(message: ModelMessage): OpenAiMessage {
  if (message.role === 'tool') {
    return { role: 'tool', tool_call_id: message.toolCallId, content: message.content };
  }
  if ('toolCalls' in message) {
    return {
      role: 'assistant',
      content: message.content,
      tool_calls: message.toolCalls.map((call) => ({
        id: call.id,
        type: 'function' as const,
        function: { name: call.name, arguments: call.arguments },
      })),
    };
  }
  return { role: message.role, content: message.content };
}

/** The two spellings of "at most so many tokens"; each is an error somewhere. */
export type TokenLimitName = 'max_completion_tokens' | 'max_tokens';

/** Reasoning models know only the new name, older compatible servers only the old one. */
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

/** Whether a 400 complains about the name itself, not about the number behind it. */
export function isTokenLimitNameRefused(error: unknown, name: TokenLimitName): boolean {
  const { code, param, message } = readErrorBody(error);
  const isNamed = param === name || new RegExp(`\\b${name}\\b`).test(message);
  const isUnknown = /unsupported|not supported|unknown|unrecognized|not permitted|unexpected/i;
  return isNamed && (isUnknown.test(code) || isUnknown.test(message));
}
