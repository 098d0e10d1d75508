import * as z from 'zod';
import type { Clock } from '../../clock.ts';
import { ServiceError } from '../../errors.ts';
import type { HeaderSource } from '../../resilience/retry-after.ts';
import { reasonOf, unlessAborted } from '../../resilience/waiting.ts';
import type { ModelEndpoint } from '../endpoint.ts';
import {
  invalidAnswer,
  noCredential,
  renamedTokenLimit,
  toUpstreamFailure,
} from '../upstream-error.ts';
import { mapStatus, type RefusedResponse } from './map-error.ts';
import { mapTransportError, misconfigured } from './map-transport-error.ts';
import type { ModelAnswer, ModelRequest } from '../model.ts';
import { readText } from './read-body.ts';
import { parseJson, readCompletion } from './read-completion.ts';
import { readStream, type EndpointEvent } from './read-stream.part.ts';
import { toOpenAiParams } from './to-openai-params.ts';
import {
  firstTokenLimitName,
  isTokenLimitNameRefused,
  otherTokenLimitName,
  type TokenLimitName,
} from './token-limit-name.ts';
import type { Send, UpstreamResponse } from '../transport.ts';
import { UpstreamFailure } from '../upstream-failure.ts';

/** Enough for code and message. A longer error body is no answer of an API, and is not read. */
const MAX_ERROR_BYTES = 64 * 1024;
const STREAMED = { stream: true, stream_options: { include_usage: true } } as const;
const refusalSchema = z.object({ error: z.unknown() });

export interface OpenAiEndpointOptions {
  readonly maxBodyBytes: number;
  readonly maxLineBytes: number;
  readonly clock: Clock;
  /** The way to the address of the endpoint. */
  readonly send: Send;
}

/** One call to one endpoint. */
export interface EndpointCall {
  /** Ends the call and closes its socket. */
  readonly signal: AbortSignal;
  readonly traceparent?: string | undefined;
}

/** One HTTP call per call, no retries and no time limits: every failure is an UpstreamFailure. */
export interface EndpointClient {
  complete(request: ModelRequest, call: EndpointCall): Promise<ModelAnswer>;
  stream(request: ModelRequest, call: EndpointCall): AsyncGenerator<EndpointEvent, void>;
}

/** Speaks chat completions to OpenAI, Azure OpenAI and compatible servers. */
export function createOpenAiEndpoint(
  endpoint: ModelEndpoint,
  options: OpenAiEndpointOptions,
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

  async function open({ request, stream }: Sending, call: EndpointCall): Promise<UpstreamResponse> {
    const usedName = tokenLimitName;
    const params = toOpenAiParams(request, { model: endpoint.model, tokenLimitName: usedName });
    const body = JSON.stringify(stream ? { ...params, ...STREAMED } : params);
    const headers = await readHeaders(endpoint, call);
    const response = await options
      .send({ headers, body, signal: call.signal })
      .catch((thrown: unknown) => {
        if (call.signal.aborted) throw reasonOf(call.signal);
        if (thrown instanceof TypeError) throw misconfigured('The request could not be sent');
        throw mapTransportError(thrown);
      });
    const { status } = response;
    if (status >= 200 && status < 300) return response;
    const error = await readError(response);
    if (call.signal.aborted) throw reasonOf(call.signal);
    const now = options.clock.now();
    throw refusal({ status, headers: response.headers, error, now }, usedName);
  }

  return {
    async complete(request, call) {
      const { body } = await open({ request, stream: false }, call);
      const text = await readText(body, options.maxBodyBytes).catch((thrown: unknown) => {
        if (call.signal.aborted) throw reasonOf(call.signal);
        throw thrown instanceof UpstreamFailure ? thrown : mapTransportError(thrown);
      });
      return readCompletion(text, { endpoint, request });
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

interface Sending {
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
    return await unlessAborted(endpoint.apiKey(), signal);
  } catch (thrown) {
    if (signal.aborted) throw reasonOf(signal);
    if (thrown instanceof ServiceError) throw toUpstreamFailure(thrown);
    throw noCredential(thrown);
  }
}

/** What a body says of why not; a body that cannot be read says nothing. */
async function readError({ body }: UpstreamResponse): Promise<unknown> {
  const text = await readText(body, MAX_ERROR_BYTES).catch(() => '');
  const said = parseJson(text);
  // Some compatible servers leave out the envelope.
  return refusalSchema.safeParse(said).data?.error ?? said;
}

function isEventStream(headers: HeaderSource): boolean {
  const contentType = headers.get('content-type');
  return contentType === null || contentType.toLowerCase().includes('text/event-stream');
}
