import { subscribe } from 'node:diagnostics_channel';
import type { IncomingMessage, ServerResponse } from 'node:http';

/**
 * The connection of one invocation. The Functions library passes a handler neither the raw headers
 * nor a signal for a disconnected client nor back-pressure. Its streaming proxy is an HTTP server in
 * this process, and Node publishes each request of such a server on a diagnostics channel.
 */
export interface ClientConnection {
  /** The headers on the wire: a query string or a body cannot replace these. */
  readonly headers: IncomingMessage['headers'];
  /** Aborts when the client disconnects before its response is complete. */
  readonly clientDisconnected: AbortSignal;
  /**
   * Resolves when the socket can take more, the client disconnects, or the signal aborts; with
   * `timeout` if the client takes no data for so long.
   */
  drained(options: DrainOptions): Promise<'ready' | 'timeout'>;
  /**
   * The whole body of the request if it has arrived and none of it was read, as most bodies
   * have when their handler starts; otherwise undefined. It can be taken once.
   */
  takeCompleteBody(): Uint8Array | undefined;
  /** Closes the connection, so that the client cannot take a partial body for a complete one. */
  cut(): void;
}

export interface DrainOptions {
  readonly signal: AbortSignal;
  readonly timeoutMs: number;
}

/** The abort reason of a disconnected client: no error can be sent to it. */
export class ClientDisconnectedError extends Error {
  constructor() {
    super('The client closed the connection before its answer was complete');
    this.name = 'ClientDisconnectedError';
  }
}

const INVOCATION_HEADER = 'x-ms-invocation-id';
/** How long an early disconnect is kept for a handler that has not started. */
const UNCLAIMED_MS = 10_000;
/** Time for a client to finish sending and to read its error before the connection is closed. */
const LINGER_MS = 1_000;

const unclaimed = new Map<string, ClientConnection>();
let tracking = false;

/** Starts to track requests. It is called while triggers register, before the first request. */
export function trackConnections(): void {
  if (tracking) return;
  tracking = true;
  subscribe('http.server.request.start', (message) => {
    const { request, response } = message as { request: IncomingMessage; response: ServerResponse };
    track(request, response);
  });
}

/** The connection of an invocation, once; undefined if the host does not stream. */
export function claimConnection(invocationId: string): ClientConnection | undefined {
  const connection = unclaimed.get(invocationId);
  unclaimed.delete(invocationId);
  return connection;
}

function track(request: IncomingMessage, response: ServerResponse): void {
  const id = request.headers[INVOCATION_HEADER];
  if (typeof id !== 'string') return;
  const disconnected = new AbortController();
  let isBodyTaken = false;
  const connection: ClientConnection = {
    headers: request.headers,
    clientDisconnected: disconnected.signal,
    drained: ({ signal, timeoutMs }) =>
      waitForDrain(response, { signals: [disconnected.signal, signal], timeoutMs }),
    takeCompleteBody() {
      const body = takeCompleteBody(request);
      isBodyTaken ||= body !== undefined;
      return body;
    },
    cut: () => void response.destroy(),
  };
  unclaimed.set(id, connection);
  const { socket } = request;
  response.once('finish', () => {
    // The response may be complete before the parser reports the end of a body that was taken.
    if (!isBodyTaken) discardUnreadBody(request, socket);
  });
  response.once('close', () => {
    if (!response.writableFinished) disconnected.abort(new ClientDisconnectedError());
    forgetLater(id, connection);
  });
}

function takeCompleteBody(request: IncomingMessage): Uint8Array | undefined {
  // The handler may run before the parser reports the end, but all bytes are here.
  const { readableLength: bytes } = request;
  const hasAll = bytes > 0 && bytes === Number(request.headers['content-length']);
  if (!hasAll || request.readableDidRead) return undefined;
  const body: unknown = request.read();
  // Reads the end when it comes, so that nothing counts as unread.
  request.resume();
  return body instanceof Uint8Array ? body : undefined;
}

/**
 * Reads the rest of a body that the handler did not read. Otherwise it would stay in the connection,
 * and the host's next request on that connection would never be read.
 */
function discardUnreadBody(request: IncomingMessage, socket: IncomingMessage['socket']): void {
  if (request.readableEnded) return;
  if (request.destroyed) {
    if (!request.complete) socket.destroy();
    return;
  }
  const timer = setTimeout(() => socket.destroy(), LINGER_MS);
  request.once('close', () => clearTimeout(timer));
  // A reader that stopped early pauses the stream with this listener. Without one, the call would stop
  // a stream that flows, and the connection would be closed under the host's next request.
  if (request.listenerCount('readable') > 0) request.removeAllListeners('readable');
  request.on('error', () => undefined);
  request.resume();
}

/** A client may disconnect before its handler starts, and the handler must still see it. */
function forgetLater(id: string, connection: ClientConnection): void {
  if (unclaimed.get(id) !== connection) return;
  setTimeout(() => {
    if (unclaimed.get(id) === connection) unclaimed.delete(id);
  }, UNCLAIMED_MS).unref();
}

interface DrainWait {
  readonly signals: readonly AbortSignal[];
  readonly timeoutMs: number;
}

function waitForDrain(
  response: ServerResponse,
  { signals, timeoutMs }: DrainWait,
): Promise<'ready' | 'timeout'> {
  if (!response.writableNeedDrain || signals.some(({ aborted }) => aborted)) {
    return Promise.resolve('ready');
  }
  const { promise, resolve } = Promise.withResolvers<'ready' | 'timeout'>();
  const timer = setTimeout(() => settle('timeout'), timeoutMs);
  const ready = (): void => settle('ready');
  function settle(outcome: 'ready' | 'timeout'): void {
    clearTimeout(timer);
    response.off('drain', ready);
    for (const signal of signals) signal.removeEventListener('abort', ready);
    resolve(outcome);
  }
  response.on('drain', ready);
  for (const signal of signals) signal.addEventListener('abort', ready);
  return promise;
}
