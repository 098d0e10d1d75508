import { APIError, OpenAIError } from 'openai';
import type { Clock } from '../../clock.ts';
import { ServiceError } from '../../errors.ts';
import type { ModelEndpoint } from '../endpoint.ts';
import type { HttpClient, HttpPostResponse } from '../http-client.ts';
import type { ModelRequest, ModelResponse } from '../model.ts';
import { mapStatus, mapTransportError, misconfigured } from './map-error.ts';
import { type EndpointCall, EndpointOpenAI } from './openai-client.ts';
import { readResponse, readText } from './read-response.ts';
import { type EndpointEvent, readStream } from './read-stream.ts';
import {
  firstTokenLimitName,
  isTokenLimitNameRejected,
  otherTokenLimitName,
  type TokenLimitName,
  toRequestParams,
} from './request-params.ts';
import {
  credentialUnavailable,
  invalidResponse,
  renamedTokenLimit,
  toUpstreamFailure,
  UpstreamFailure,
} from '../upstream-error.ts';
import { abortReason } from '../../resilience/abort.ts';
import type { HeaderSource } from '../../resilience/retry-after.ts';

export type { EndpointCall } from './openai-client.ts';

const STREAMED = { stream: true, stream_options: { include_usage: true } } as const;

export interface ChatCompletionsClientOptions {
  readonly maxBodyBytes: number;
  readonly maxLineBytes: number;
  readonly clock: Clock;
  readonly httpClient: HttpClient;
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
  const firstName = firstTokenLimitName(endpoint);
  let tokenLimitName = firstName;

  function toFailure(error: APIError, usedName: TokenLimitName): UpstreamFailure {
    if (error.status === 400 && isTokenLimitNameRejected(error.error, usedName)) {
      // The client keeps the other name: only the first call to an endpoint costs an extra request.
      tokenLimitName = otherTokenLimitName(firstName);
      if (usedName === firstName) return renamedTokenLimit();
    }
    return mapApiError(error, options.clock.now());
  }

  async function open(request: ModelRequest, call: OpenCall): Promise<HttpPostResponse> {
    const usedName = tokenLimitName;
    const params = toRequestParams(request, { model: endpoint.model, tokenLimitName: usedName });
    try {
      return await client.createCompletion(call.stream ? { ...params, ...STREAMED } : params, call);
    } catch (thrown) {
      if (call.signal.aborted) throw abortReason(call.signal);
      throw thrown instanceof APIError ? toFailure(thrown, usedName) : mapClientError(thrown);
    }
  }

  return {
    async complete(request, call) {
      const { body } = await open(request, { ...call, stream: false });
      const text = await readText(body, options.maxBodyBytes).catch((thrown: unknown) => {
        if (call.signal.aborted) throw abortReason(call.signal);
        throw thrown instanceof UpstreamFailure ? thrown : mapTransportError(thrown);
      });
      return readResponse(text, { endpoint, request });
    },
    async *stream(request, call) {
      const { headers, body } = await open(request, { ...call, stream: true });
      if (!isEventStream(headers)) {
        body.destroy();
        throw invalidResponse('The response to a streamed request is not an event stream');
      }
      const { maxBodyBytes: maxChars, maxLineBytes } = options;
      yield* readStream(body, { endpoint, request, maxChars, maxLineBytes });
    },
  };
}

interface OpenCall extends EndpointCall {
  readonly stream: boolean;
}

/** The failure behind an error of the official client. Its errors carry bodies and headers. */
function mapApiError(thrown: APIError, now: number): UpstreamFailure {
  const { status, headers, error, cause } = thrown;
  if (status !== undefined && headers !== undefined) {
    return mapStatus({ status, headers, error, now });
  }
  if (cause instanceof TypeError) return misconfigured('The request could not be sent');
  return mapTransportError(cause);
}

/** The request was not sent: its address is invalid, or the credential could not be read. */
function mapClientError(thrown: unknown): UpstreamFailure {
  if (thrown instanceof TypeError) return misconfigured('The request could not be built');
  if (!(thrown instanceof OpenAIError)) return toUpstreamFailure(thrown);
  const { cause } = thrown;
  return cause instanceof ServiceError ? toUpstreamFailure(cause) : credentialUnavailable(cause);
}

function isEventStream(headers: HeaderSource): boolean {
  const contentType = headers.get('content-type');
  return contentType === null || contentType.toLowerCase().includes('text/event-stream');
}
