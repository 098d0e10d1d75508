import type { APIError, OpenAI } from 'openai';
import type { Clock } from '../clock.ts';
import { reasonOf, unlessAborted } from '../resilience/waiting.ts';
import { ServiceError } from '../errors.ts';
import type { ModelEndpoint } from './endpoint.ts';
import {
  interruptedAnswer,
  invalidAnswer,
  noCredential,
  renamedTokenLimit,
  toUpstreamFailure,
} from './failures.ts';
import { mapTransportError, misconfigured } from './map-transport-error.ts';
import { mapStatus } from './map-status.ts';
import type { ModelAnswer, ModelRequest } from './model.ts';
import { createOpenAiClient, credentialHeaders } from './openai-client.ts';
import { readText } from './read-body.ts';
import { readCompletion } from './read-completion.ts';
import { readStream, type EndpointEvent } from './read-stream.ts';
import { toOpenAiParams } from './to-openai-params.ts';
import {
  firstTokenLimitName,
  isTokenLimitNameRefused,
  otherTokenLimitName,
  type TokenLimitName,
} from './token-limit-name.ts';
import { UpstreamFailure } from './upstream-failure.ts';

export interface OpenAiEndpointOptions {
  readonly maxBodyBytes: number;
  readonly maxLineBytes: number;
  readonly clock: Clock;
  readonly fetch: typeof fetch;
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
  let loading: Promise<OpenAI> | undefined;
  const firstName = firstTokenLimitName(endpoint);
  let tokenLimitName = firstName;

  /** One client per endpoint; a failed start is forgotten, so the next call tries again. */
  function load(): Promise<OpenAI> {
    loading ??= createOpenAiClient(endpoint, options.fetch).catch((error: unknown) => {
      loading = undefined;
      throw error;
    });
    return loading;
  }

  async function open(send: Sending, call: EndpointCall): Promise<Response> {
    const headers = await readHeaders(endpoint, call);
    const usedName = tokenLimitName;
    const params = toOpenAiParams(send.request, {
      model: endpoint.model,
      tokenLimitName: usedName,
    });
    const sent = { signal: call.signal, headers };
    try {
      const client = await load();
      return await (send.stream
        ? client.chat.completions
            .create({ ...params, stream: true, stream_options: { include_usage: true } }, sent)
            .asResponse()
        : client.chat.completions.create(params, sent).asResponse());
    } catch (thrown) {
      if (call.signal.aborted) throw reasonOf(call.signal);
      if (!isApiError(thrown)) throw misconfigured('The request could not be sent');
      if (isNameRefused(thrown, usedName)) {
        // Learned once and kept: only the first call to an endpoint pays for it.
        tokenLimitName = otherTokenLimitName(firstName);
        if (usedName === firstName) throw renamedTokenLimit();
      }
      throw toFailure(thrown, options.clock);
    }
  }

  return {
    async complete(request, call) {
      const response = await open({ request, stream: false }, call);
      const body = await readText(response, options.maxBodyBytes).catch((thrown: unknown) => {
        if (call.signal.aborted) throw reasonOf(call.signal);
        throw thrown instanceof UpstreamFailure ? thrown : mapTransportError(thrown);
      });
      return readCompletion(body, { endpoint, request });
    },
    async *stream(request, call) {
      const response = await open({ request, stream: true }, call);
      if (response.body === null) throw interruptedAnswer('The stream has no body');
      if (!isEventStream(response)) {
        response.body.cancel().catch(() => undefined);
        throw invalidAnswer('The answer to a streamed request is no event stream');
      }
      const { maxBodyBytes: maxChars, maxLineBytes } = options;
      yield* readStream(response.body, { endpoint, request, maxChars, maxLineBytes });
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
): Promise<Record<string, string | null>> {
  const headers = credentialHeaders(endpoint, await readSecret(endpoint, call.signal));
  return call.traceparent === undefined ? headers : { ...headers, traceparent: call.traceparent };
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

/** By its members: naming the class would load the package. */
function isApiError(thrown: unknown): thrown is APIError {
  return thrown instanceof Error && 'status' in thrown && 'headers' in thrown;
}

function isNameRefused(error: APIError, name: TokenLimitName): boolean {
  return error.status === 400 && isTokenLimitNameRefused(error.error, name);
}

function toFailure(error: APIError, clock: Clock): UpstreamFailure {
  const { status, headers } = error;
  if (status === undefined || headers === undefined) return mapTransportError(error);
  return mapStatus({ status, headers, error: error.error, now: clock.now() });
}

function isEventStream(response: Response): boolean {
  const contentType = response.headers.get('content-type');
  return contentType === null || contentType.toLowerCase().includes('text/event-stream');
}
