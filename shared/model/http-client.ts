import * as http from 'node:http';
import * as https from 'node:https';
import type { Socket } from 'node:net';
import { type Duplex, PassThrough, pipeline, type Readable } from 'node:stream';
import { urlToHttpOptions } from 'node:url';
import * as zlib from 'node:zlib';
import { LRUCache } from 'lru-cache';
import type { ProxySelector } from './proxy.ts';
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

/** The server closed a reused connection before it sent a byte of a response. */
class StaleConnectionError extends Error {
  readonly socket: Socket;

  constructor(socket: Socket) {
    super('The server closed a reused connection');
    this.socket = socket;
  }
}

/** A client over `node:http` that reuses connections and honours proxies. */
export function createHttpClient(proxyFor: ProxySelector = () => undefined): HttpClient {
  const connectionsTo = createConnectionPool(proxyFor);
  const targets = new LRUCache<string, Target>({ max: MAX_TARGETS });
  function targetOf(address: string): Target {
    const known = targets.get(address);
    if (known !== undefined) return known;
    const url = URL.parse(address);
    if (url?.protocol !== 'http:' && url?.protocol !== 'https:') {
      throw new TypeError('Cannot send as the address must begin with http: or https:');
    }
    const target = {
      connections: connectionsTo(url),
      options: {
        ...urlToHttpOptions(url),
        auth: undefined,
        method: 'POST',
        // A proxy may add a second Retry-After: both values are read.
        joinDuplicateHeaders: true,
      },
    };
    targets.set(address, target);
    return target;
  }
  return {
    async post({ address, ...call }) {
      const target = targetOf(address);
      if (call.signal.aborted) throw abortReason(call.signal);
      try {
        return await send(target, call);
      } catch (thrown) {
        if (!(thrown instanceof StaleConnectionError)) throw thrown;
        // The request was not processed. The second one uses a new connection.
        target.connections.learnStale(thrown.socket);
        return send(target, call);
      }
    },
  };
}

/** Addresses whose parts are kept: parsing costs more than a look-up, and endpoints have few. */
const MAX_TARGETS = 64;

/** An address in parts, and the connections to its origin. */
interface Target {
  readonly options: http.RequestOptions;
  readonly connections: Connections;
}

function send(
  { options, connections }: Target,
  { headers, body, signal, onSent }: Omit<HttpPostRequest, 'address'>,
): Promise<HttpPostResponse> {
  const { promise, resolve, reject } = Promise.withResolvers<HttpPostResponse>();
  const { request: startRequest } = options.protocol === 'https:' ? https : http;
  const request = startRequest({ ...options, agent: connections.agent, headers });
  function abort(): void {
    // Without an error, because the socket may have no error listener any more.
    request.destroy();
  }
  signal.addEventListener('abort', abort, { once: true });
  if (onSent !== undefined) request.once('finish', onSent);
  let hasResponse = false;
  let bytesBefore = 0;
  request.on('socket', (socket) => (bytesBefore = socket.bytesRead));
  request.on('error', (error) => {
    const { socket } = request;
    if (signal.aborted) reject(abortReason(signal));
    else if (
      !hasResponse &&
      socket &&
      isStale(request, error) &&
      socket.bytesRead === bytesBefore
    ) {
      reject(new StaleConnectionError(socket));
    } else reject(error);
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
      body: decodeBody(response),
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

const DECODERS: Readonly<Record<string, () => Duplex>> = {
  gzip: () => zlib.createGunzip(),
  'x-gzip': () => zlib.createGunzip(),
  br: () => zlib.createBrotliDecompress(),
  zstd: () => zlib.createZstdDecompress(),
};

/**
 * The body without its content encodings. Requests ask for `identity`, but proxies compress anyway.
 * A body in an unknown encoding, and one that cannot be decoded, end with an error.
 */
export function decodeBody(response: http.IncomingMessage): Readable {
  const header = response.headers['content-encoding'];
  if (header === undefined) return response;
  const encodings = header
    .toLowerCase()
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '' && name !== 'identity');
  // The last encoding was applied last.
  return encodings.reduceRight<Readable>(decode, response);
}

function decode(source: Readable, encoding: string): Readable {
  if (encoding === 'deflate') return inflate(source);
  const createDecoder = DECODERS[encoding];
  if (createDecoder === undefined) {
    return source.destroy(new Error('The body has an unknown content encoding'));
  }
  return connect(source, createDecoder());
}

/** Destroying the result destroys the source too, and with it the connection. */
function connect(source: Readable, decoder: Duplex): Duplex {
  pipeline(source, decoder, () => undefined);
  return decoder;
}

/** `deflate` means the zlib format, but some servers send the raw one. The first byte tells. */
function inflate(source: Readable): Readable {
  const output = new PassThrough();
  function endEmpty(): void {
    output.end();
  }
  source.once('end', endEmpty);
  source.once('error', (error) => output.destroy(error));
  source.once('data', (first: Uint8Array) => {
    source.pause();
    source.off('end', endEmpty);
    source.unshift(first);
    const isZlib = ((first[0] ?? 0) & 0x0f) === 8;
    connect(connect(source, isZlib ? zlib.createInflate() : zlib.createInflateRaw()), output);
  });
  output.once('close', () => source.destroy());
  return output;
}

/** The kept connections to one origin. */
export interface Connections {
  readonly agent: http.Agent;
  /** Closes the unused connections and keeps later ones for a shorter time. */
  learnStale(socket: Socket): void;
}

/**
 * How long an unused connection stays open, in milliseconds. Servers and load balancers close theirs
 * after five seconds or more; where it is less they send a `Keep-Alive` header, which the agent
 * honours. A request that is sent while the server closes the connection is reset.
 */
const IDLE_MS = 4_000;
/** How long a shorter time is kept that was learned from a reset, in milliseconds. */
const LEARNED_FOR_MS = 60_000;

/** The connections of each origin, directly or through a proxy. */
export function createConnectionPool(proxyFor: ProxySelector): (url: URL) => Connections {
  const origins = new Map<string, Connections>();
  return (url) => {
    const known = origins.get(url.origin);
    if (known !== undefined) return known;
    const connections = createConnections(createAgent(url, proxyFor(url)));
    origins.set(url.origin, connections);
    return connections;
  };
}

function createAgent({ protocol }: URL, proxy: string | undefined): http.Agent {
  const options = { keepAlive: true, timeout: IDLE_MS };
  if (proxy === undefined) {
    return protocol === 'https:' ? new https.Agent(options) : new http.Agent(options);
  }
  return protocol === 'https:'
    ? new https.Agent({ ...options, proxyEnv: { HTTPS_PROXY: proxy } })
    : new http.Agent({ ...options, proxyEnv: { HTTP_PROXY: proxy } });
}

function createConnections(agent: http.Agent): Connections {
  const unusedSince = new WeakMap<Socket, number>();
  const { maxFreeSockets } = agent;
  let idleMs = IDLE_MS;
  let relearnAt = 0;
  agent.on('free', (socket: Socket) => {
    unusedSince.set(socket, performance.now());
    // The agent has set its own timeout before.
    if (idleMs < IDLE_MS) socket.setTimeout(idleMs);
  });

  function setIdleTime(ms: number): void {
    idleMs = ms;
    // 0 closes each connection after its response.
    agent.maxFreeSockets = ms < 1 ? 0 : maxFreeSockets;
  }

  return {
    get agent() {
      if (idleMs < IDLE_MS && performance.now() > relearnAt) setIdleTime(IDLE_MS);
      return agent;
    },
    learnStale(socket) {
      const now = performance.now();
      const unusedMs = now - (unusedSince.get(socket) ?? now);
      setIdleTime(Math.min(idleMs, Math.floor(unusedMs / 2)));
      relearnAt = now + LEARNED_FOR_MS;
      for (const sockets of Object.values(agent.freeSockets)) {
        for (const unused of sockets ?? []) unused.destroy();
      }
    },
  };
}
