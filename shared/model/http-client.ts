import * as http from 'node:http';
import * as https from 'node:https';
import type { Readable } from 'node:stream';
import { urlToHttpOptions } from 'node:url';
import { abortReason } from '../resilience/abort.ts';
import type { HeaderSource } from '../resilience/retry-after.ts';

/** Sends requests over connections that all calls share. */
export interface HttpClient {
  /**
   * One request and its response, without redirects, retries and time limits.
   *
   * @throws TypeError where the address or a header is invalid; the reason of the signal after an
   *   abort; otherwise the error of the system where no response arrived
   */
  post(request: HttpPostRequest): Promise<HttpPostResponse>;
}

/** A POST of JSON text. */
export interface HttpPostRequest {
  readonly address: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  /** Aborts the request or its response, and closes the socket. */
  readonly signal: AbortSignal;
  /** Called when the whole request was handed to the network. */
  readonly onSent?: (() => void) | undefined;
}

/** The head of a response, and its body as a stream with back-pressure. */
export interface HttpPostResponse {
  readonly status: number;
  readonly headers: HeaderSource;
  /** Read it to its end or destroy it, otherwise its connection is never reused. */
  readonly body: Readable;
}

/**
 * The server closed a reused connection while the request was sent. No response arrived, and it
 * shows nothing about the health of the server.
 */
export class StaleConnectionError extends Error {
  readonly code = 'ECONNRESET';

  constructor(cause: Error) {
    super('The server closed a reused connection', { cause });
    this.name = 'StaleConnectionError';
  }
}

/**
 * How long an unused connection stays open, in milliseconds. Servers and load balancers close theirs
 * after five seconds or more; where it is less they send a `Keep-Alive` header, which the agent
 * honours. A request that is sent while the server closes the connection is reset.
 */
const IDLE_MS = 4_000;
const AGENT = { keepAlive: true, timeout: IDLE_MS } as const;

/** A client over `node:http` that reuses connections. */
export function createHttpClient(): HttpClient {
  const protocols = {
    'http:': { request: http.request, agent: new http.Agent(AGENT) },
    'https:': { request: https.request, agent: new https.Agent(AGENT) },
  } as const;
  return {
    async post({ address, headers, body, signal, onSent }) {
      const url = URL.parse(address);
      if (url?.protocol !== 'http:' && url?.protocol !== 'https:') {
        throw new TypeError('Cannot send as the address must begin with http: or https:');
      }
      if (signal.aborted) throw abortReason(signal);
      const { request, agent } = protocols[url.protocol];
      const options = {
        ...urlToHttpOptions(url),
        auth: undefined,
        method: 'POST',
        agent,
        // A proxy may add a second Retry-After: both values are read.
        joinDuplicateHeaders: true,
        headers,
      };
      return send(request(options), { body, signal, onSent });
    },
  };
}

function send(
  request: http.ClientRequest,
  { body, signal, onSent }: Pick<HttpPostRequest, 'body' | 'signal' | 'onSent'>,
): Promise<HttpPostResponse> {
  const { promise, resolve, reject } = Promise.withResolvers<HttpPostResponse>();
  function abort(): void {
    // Without an error, because the socket may have no error listener any more.
    request.destroy();
  }
  signal.addEventListener('abort', abort, { once: true });
  if (onSent !== undefined) request.once('finish', onSent);
  let hasResponse = false;
  request.on('error', (error) => {
    if (signal.aborted) reject(abortReason(signal));
    else if (hasResponse || !isStale(request, error)) reject(error);
    else reject(new StaleConnectionError(error));
  });
  request.on('response', (response) => {
    hasResponse = true;
    // The server responded before it read the whole request: the rest would never be read.
    response.once('end', () => {
      if (!request.writableFinished) request.destroy();
    });
    resolve({
      status: response.statusCode ?? 0,
      headers: { get: (name) => headerOf(response, name) },
      body: response,
    });
  });
  request.on('close', () => {
    signal.removeEventListener('abort', abort);
    // The condition avoids the cost of a stack trace.
    if (!hasResponse) reject(new Error('The connection was closed without a response'));
  });
  request.end(body);
  return promise;
}

/** A reset of a reused connection; an invalid response on it comes from a live server. */
function isStale({ reusedSocket }: http.ClientRequest, error: NodeJS.ErrnoException): boolean {
  return reusedSocket && (error.code === 'ECONNRESET' || error.code === 'EPIPE');
}

function headerOf({ headers }: http.IncomingMessage, name: string): string | null {
  const value = headers[name];
  return (Array.isArray(value) ? value.join(', ') : value) ?? null;
}
