import { APIError, OpenAIError } from 'openai';
import type { Clock } from '../../clock.ts';
import { ServiceError } from '../../errors.ts';
import {
  estimateRequestTokens,
  type ModelEndpoint,
  type ModelRequest,
  type ModelResponse,
} from '../model.ts';
import type { HttpClient, HttpPostResponse } from '../http-client.ts';
import { mapStatus, mapTransportError, misconfigured, type RejectedResponse } from './map-error.ts';
import { type MappedFinishReason, readResponse, readText } from './read-response.ts';
import { type EndpointCall, EndpointOpenAI } from './openai-client.ts';
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
import type { Telemetry } from '../../telemetry/telemetry.ts';
import type { HeaderSource } from '../../resilience/retry-after.ts';

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

/** The failure behind an error of the official client. Its errors carry bodies and headers. */
function mapApiError(
  thrown: APIError,
  context: Pick<RejectedResponse, 'now' | 'requestedTokens' | 'request'>,
): UpstreamFailure {
  const { status, headers, error, cause } = thrown;
  if (status !== undefined && headers !== undefined) {
    return mapStatus({ status, headers, error, ...context });
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
