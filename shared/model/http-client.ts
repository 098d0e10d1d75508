import * as http from 'node:http';
import * as https from 'node:https';
import type { Readable } from 'node:stream';
import { urlToHttpOptions } from 'node:url';
import { abortReason } from '../resilience/abort.ts';
import type { HeaderSource } from '../resilience/retry-after.ts';

/**
 * How long a connection is kept that nobody uses, in milliseconds. Upstreams and the load balancers
 * in front of them close theirs after five seconds or more, and say so in a `Keep-Alive` header
 * where it is less, which the agent obeys. Who asks just as the other side closes is reset.
 */
const IDLE_MS = 4_000;
const AGENT = { keepAlive: true, timeout: IDLE_MS } as const;

/**
 * Node's own client with connections that are kept. What it costs beside `fetch` and the official
 * client of the models, `node dev/bench/measure-clients.ts` shows.
 */
export function createHttpClient(): HttpClient {
  const ways = {
    'http:': { request: http.request, agent: new http.Agent(AGENT) },
    'https:': { request: https.request, agent: new https.Agent(AGENT) },
  } as const;
  return {
    to(address) {
      const url = URL.parse(address);
      if (url?.protocol !== 'http:' && url?.protocol !== 'https:') return rejectPost;
      const { request, agent } = ways[url.protocol];
      // Two headers of one name are both read, as where a proxy adds a Retry-After of its own.
      const fixed = {
        ...urlToHttpOptions(url),
        auth: undefined,
        method: 'POST',
        agent,
        joinDuplicateHeaders: true,
      };
      return async (upstream) => {
        if (upstream.signal.aborted) throw abortReason(upstream.signal);
        return sendRequest(request({ ...fixed, headers: upstream.headers }), upstream);
      };
    },
  };
}

async function rejectPost(): Promise<never> {
  throw new TypeError('Cannot send as the address must begin with http: or https:');
}

function sendRequest(
  request: http.ClientRequest,
  { body, signal }: HttpPostRequest,
): Promise<HttpPostResponse> {
  const { promise, resolve, reject } = Promise.withResolvers<HttpPostResponse>();
  function abort(): void {
    // Without an error: by now the socket may be one that nobody listens to.
    request.destroy();
  }
  signal.addEventListener('abort', abort, { once: true });
  let isAnswered = false;
  request.on('error', (error) => {
    if (signal.aborted) reject(abortReason(signal));
    else if (isAnswered || !isStale(request, error)) reject(error);
    else reject(new StaleConnectionError(error));
  });
  request.on('response', (response) => {
    isAnswered = true;
    // An answer to half of a request: the other half would wait for a reader for ever.
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
    // Not made in vain, for a stack is dear.
    if (!isAnswered) reject(new Error('The connection was closed without an answer'));
  });
  request.end(body);
  return promise;
}

/** Garbage on a kept connection is an answer of some kind; a reset on it may be none. */
function isStale({ reusedSocket }: http.ClientRequest, error: NodeJS.ErrnoException): boolean {
  return reusedSocket && (error.code === 'ECONNRESET' || error.code === 'EPIPE');
}

function headerOf({ headers }: http.IncomingMessage, name: string): string | null {
  const value = headers[name];
  return (Array.isArray(value) ? value.join(', ') : value) ?? null;
}

/** A way to upstreams: connections that are shared by all who go the same way. */
export interface HttpClient {
  /** The way to one address. An address that is none is told to whoever sends. */
  to(address: string): HttpPost;
}

/**
 * One exchange: no redirects, no retries, no time limits.
 *
 * @throws TypeError where the request cannot be put on a wire (an address or a header that is none);
 *   the signal's reason after an abort; else the system's error where no answer came
 */
export type HttpPost = (request: HttpPostRequest) => Promise<HttpPostResponse>;

/** One POST of a JSON text. */
export interface HttpPostRequest {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  /** Ends the exchange at any moment, and closes its socket. */
  readonly signal: AbortSignal;
}

/** What came back: the head, and a body that is read no faster than somebody asks for it. */
export interface HttpPostResponse {
  readonly status: number;
  readonly headers: HeaderSource;
  /** To be read to its end or destroyed, or its connection serves nobody again. */
  readonly body: Readable;
}

/**
 * A kept connection that the other side closed just when it was used again: nothing came back, and
 * it says nothing about how the upstream is.
 */
export class StaleConnectionError extends Error {
  readonly code = 'ECONNRESET';

  constructor(cause: Error) {
    super('A kept connection was closed as it was used again', { cause });
    this.name = 'StaleConnectionError';
  }
}
