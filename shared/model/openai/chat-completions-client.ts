import * as z from 'zod';
import type { Clock } from '../../clock.ts';
import { ServiceError } from '../../errors.ts';
import type { ModelEndpoint } from '../endpoint.ts';
import type { HttpPost, HttpPostResponse } from '../http-client.ts';
import type { ModelRequest, ModelResponse } from '../model.ts';
import { mapStatus, mapTransportError, misconfigured, type RejectedResponse } from './map-error.ts';
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
import { abortReason, raceAbort } from '../../resilience/abort.ts';
import type { HeaderSource } from '../../resilience/retry-after.ts';
import { parseJson } from '../../json.ts';

/** Enough for code and message. A longer error body does not come from the API and is not read. */
const MAX_ERROR_BYTES = 64 * 1024;
const STREAMED = { stream: true, stream_options: { include_usage: true } } as const;
const errorEnvelopeSchema = z.object({ error: z.unknown() });

export interface ChatCompletionsClientOptions {
  readonly maxBodyBytes: number;
  readonly maxLineBytes: number;
  readonly clock: Clock;
  /** Sends a request to the chat completions of the endpoint. */
  readonly send: HttpPost;
}

/** One call to one endpoint. */
export interface EndpointCall {
  /** Aborts the call and closes its socket. */
  readonly signal: AbortSignal;
  readonly traceparent?: string | undefined;
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
  const firstName = firstTokenLimitName(endpoint);
  let tokenLimitName = firstName;

  function toFailure(rejected: RejectedResponse, usedName: TokenLimitName): UpstreamFailure {
    const { status, error } = rejected;
    if (status === 400 && isTokenLimitNameRejected(error, usedName)) {
      // The client keeps the other name: only the first call to an endpoint costs an extra request.
      tokenLimitName = otherTokenLimitName(firstName);
      if (usedName === firstName) return renamedTokenLimit();
    }
    return mapStatus(rejected);
  }

  async function open(
    { request, stream }: SendOptions,
    call: EndpointCall,
  ): Promise<HttpPostResponse> {
    const usedName = tokenLimitName;
    const params = toRequestParams(request, { model: endpoint.model, tokenLimitName: usedName });
    const body = JSON.stringify(stream ? { ...params, ...STREAMED } : params);
    const headers = await createHeaders(endpoint, call);
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
    throw toFailure({ status, headers: response.headers, error, now }, usedName);
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
        throw invalidResponse('The response to a streamed request is not an event stream');
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

async function createHeaders(
  endpoint: ModelEndpoint,
  call: EndpointCall,
): Promise<Record<string, string>> {
  const { traceparent } = call;
  return {
    accept: 'application/json',
    // Without this header an endpoint may choose any encoding; this client decodes none.
    'accept-encoding': 'identity',
    'content-type': 'application/json',
    'user-agent': 'serverless-agent',
    ...credentialHeader(endpoint, await readCredential(endpoint, call.signal)),
    ...(traceparent === undefined ? {} : { traceparent }),
  };
}

/** The credential in the header that the endpoint expects. */
function credentialHeader(endpoint: ModelEndpoint, credential: string): Record<string, string> {
  const isAzureKey = endpoint.kind === 'azure' && endpoint.credential === 'key';
  return isAzureKey ? { 'api-key': credential } : { authorization: `Bearer ${credential}` };
}

async function readCredential(endpoint: ModelEndpoint, signal: AbortSignal): Promise<string> {
  try {
    return await raceAbort(endpoint.apiKey(), signal);
  } catch (thrown) {
    if (signal.aborted) throw abortReason(signal);
    if (thrown instanceof ServiceError) throw toUpstreamFailure(thrown);
    throw credentialUnavailable(thrown);
  }
}

/** The `error` member of a body; undefined where the body cannot be read. */
async function readError({ body }: HttpPostResponse): Promise<unknown> {
  const text = await readText(body, MAX_ERROR_BYTES).catch(() => '');
  const parsed = parseJson(text);
  // Some compatible servers send the error without the envelope.
  return errorEnvelopeSchema.safeParse(parsed).data?.error ?? parsed;
}

function isEventStream(headers: HeaderSource): boolean {
  const contentType = headers.get('content-type');
  return contentType === null || contentType.toLowerCase().includes('text/event-stream');
}
