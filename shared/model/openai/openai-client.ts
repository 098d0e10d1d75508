import { type APIError, OpenAI, OpenAIError } from 'openai';
import type { ChatCompletionCreateParams } from 'openai/resources/chat/completions';
import type { ModelEndpoint, TokenUsage } from '../model.ts';
import type { HttpClient, HttpPostResponse } from '../http-client.ts';
import type { HeaderSource } from '../../resilience/retry-after.ts';
import { mapStatus, mapTransportError, misconfigured, type RejectedResponse } from './map-error.ts';
import { readText } from './read-response.ts';
import {
  credentialUnavailable,
  toUpstreamFailure,
  type UpstreamFailure,
} from '../upstream-error.ts';
import { ServiceError } from '../../errors.ts';
import { raceAbort } from '../../resilience/abort.ts';

type RequestOptions = Parameters<OpenAI['buildRequest']>[0];
type BuiltRequest = Awaited<ReturnType<OpenAI['buildRequest']>>;

type StatusErrorArguments = [
  status: number,
  body: object | undefined,
  message: string | undefined,
  headers: Headers,
];

/** Enough for code and message. A longer error body does not come from the API and is not read. */
const MAX_ERROR_BYTES = 64 * 1024;
/** The longest timeout of a timer, which is never reached: the attempt has a time limit. */
const NO_TIMEOUT_MS = 2 ** 31 - 1;

/** One call to one endpoint. */
export interface EndpointCall {
  /** Aborts the call and closes its socket. */
  readonly signal: AbortSignal;
  readonly traceparent?: string | undefined;
  /** Called when the whole request was handed to the network. */
  readonly onSent?: (() => void) | undefined;
  /** As in `ModelCall`. */
  readonly onPartialUsage?: ((usage: TokenUsage) => void) | undefined;
}

/**
 * The official client over our HTTP client. It builds addresses and bodies, resolves the credential
 * for each request and throws the error classes of the package. Its retries, timeout and log are
 * off, and some of its methods are overridden: `buildRequest` sends only the headers below, none of the
 * platform or the environment; `fetchWithTimeout` uses kept connections of `node:http`;
 * `makeStatusError` reads errors of compatible servers.
 */
export class EndpointOpenAI extends OpenAI {
  readonly #endpoint: ModelEndpoint;
  readonly #httpClient: HttpClient;
  /** By the signal of the call, because the options of the client have no place for it. */
  readonly #onSent = new WeakMap<AbortSignal, () => void>();
  /** By path: the client uses a few fixed ones. */
  readonly #addresses = new Map<string, string>();

  constructor(endpoint: ModelEndpoint, httpClient: HttpClient) {
    super({
      baseURL: endpoint.baseUrl.replace(/\/+$/, ''),
      apiKey: endpoint.apiKey,
      // Null, because undefined means a variable of the environment.
      adminAPIKey: null,
      organization: null,
      project: null,
      webhookSecret: null,
      maxRetries: 0,
      logLevel: 'off',
      timeout: NO_TIMEOUT_MS,
    });
    this.#endpoint = endpoint;
    this.#httpClient = httpClient;
  }

  /**
   * The response before its body is read.
   *
   * @throws APIError for a status above 299; APIConnectionError where no response arrived
   */
  async createCompletion(
    params: ChatCompletionCreateParams,
    { signal, traceparent, onSent }: EndpointCall,
  ): Promise<HttpPostResponse> {
    if (onSent !== undefined) this.#onSent.set(signal, onSent);
    const options = { signal, headers: { traceparent } };
    const response: unknown = await this.chat.completions.create(params, options).asResponse();
    if (response instanceof NodeResponse) return response.source;
    throw new TypeError('Cannot read a response of another client');
  }

  override async buildRequest(options: RequestOptions): Promise<BuiltRequest> {
    const { method, path, body, signal } = options;
    const credential = this.bearerAuth(options);
    const resolved = await (signal ? raceAbort(credential, signal) : credential);
    const headers = resolved?.values ?? new Headers();
    const traceparent = readTraceparent(options.headers);
    if (traceparent !== undefined) headers.set('traceparent', traceparent);
    return {
      req: { method, headers, body: JSON.stringify(body), signal: signal ?? null },
      url: this.#addressOf(path),
      timeout: NO_TIMEOUT_MS,
    };
  }

  override async fetchWithTimeout(
    url: Parameters<OpenAI['fetchWithTimeout']>[0],
    init: Parameters<OpenAI['fetchWithTimeout']>[1],
  ): Promise<Response> {
    const { headers, body, signal } = init ?? {};
    if (typeof url !== 'string' || typeof body !== 'string') {
      throw new TypeError('Cannot send a request that buildRequest did not build');
    }
    const source = await this.#httpClient.post({
      address: url,
      headers: this.#allowedHeaders(new Map(headers instanceof Headers ? headers : [])),
      body,
      signal: signal ?? new AbortController().signal,
      onSent: signal ? this.#onSent.get(signal) : undefined,
    });
    // The client uses the members below and no others.
    return new NodeResponse(source) as unknown as Response;
  }

  /** Some compatible servers send the members of the error without an object around them. */
  protected override makeStatusError(...args: StatusErrorArguments): APIError {
    const [status, body, ...rest] = args;
    const isBare = typeof body === 'object' && body !== null && !('error' in body);
    return super.makeStatusError(status, isBare ? { error: body } : { ...body }, ...rest);
  }

  /** The client parses its base URL for each request, and it never changes. */
  #addressOf(path: string): string {
    const known = this.#addresses.get(path) ?? this.buildURL(path, undefined);
    this.#addresses.set(path, known);
    return known;
  }

  #allowedHeaders(headers: ReadonlyMap<string, string>): Record<string, string> {
    const authorization = headers.get('authorization') ?? '';
    const traceparent = headers.get('traceparent');
    const { kind, credential } = this.#endpoint;
    return {
      ...FIXED_HEADERS,
      ...(kind === 'azure' && credential === 'key'
        ? { 'api-key': authorization.replace('Bearer ', '') }
        : { authorization }),
      ...(traceparent === undefined ? {} : { traceparent }),
    };
  }
}

const FIXED_HEADERS = {
  accept: 'application/json',
  // Without this header an endpoint may choose any encoding; this client decodes none.
  'accept-encoding': 'identity',
  'content-type': 'application/json',
  'user-agent': 'serverless-agent',
} as const;

/** The headers of our own options, which are a plain object. */
function readTraceparent(headers: RequestOptions['headers']): string | undefined {
  if (typeof headers !== 'object' || headers === null || !('traceparent' in headers)) {
    return undefined;
  }
  return typeof headers.traceparent === 'string' ? headers.traceparent : undefined;
}

/** The members of a fetch response that the official client uses. Its body is read by us. */
class NodeResponse {
  readonly source: HttpPostResponse;
  readonly status: number;
  readonly ok: boolean;
  readonly headers: HeaderSource & { entries(): readonly never[] };

  constructor(source: HttpPostResponse) {
    this.source = source;
    this.status = source.status;
    this.ok = source.status >= 200 && source.status < 300;
    this.headers = { get: (name) => source.headers.get(name), entries: () => [] };
  }

  text(): Promise<string> {
    return readText(this.source.body, MAX_ERROR_BYTES);
  }
}

/** The failure behind an error of the official client. Its errors carry bodies and headers. */
export function mapApiError(
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
export function mapClientError(thrown: unknown): UpstreamFailure {
  if (thrown instanceof TypeError) return misconfigured('The request could not be built');
  if (!(thrown instanceof OpenAIError)) return toUpstreamFailure(thrown);
  const { cause } = thrown;
  return cause instanceof ServiceError ? toUpstreamFailure(cause) : credentialUnavailable(cause);
}
