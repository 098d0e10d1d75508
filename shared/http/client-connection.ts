import { subscribe } from 'node:diagnostics_channel';
import type { IncomingMessage, ServerResponse } from 'node:http';

/**
 * The socket behind one invocation. The Functions library hands a handler neither the raw headers,
 * nor a sign that the client left, nor back-pressure; its streaming proxy is a plain HTTP server in
 * this process, and Node announces each request that such a server starts.
 */
export interface ClientConnection {
  /** Headers as they came over the wire: a query string or body cannot replace these. */
  readonly headers: IncomingMessage['headers'];
  /** Aborts when the client is gone before its answer is complete. */
  readonly clientLeft: AbortSignal;
  /** Resolves when the client has read enough for more to be sent, is gone, or the signal aborts. */
  drained(signal: AbortSignal): Promise<void>;
  /** Ends the connection so that what was sent cannot be taken for a whole answer. */
  cut(): void;
}

/** The reason of an abort that the client caused: nobody is there to read an error. */
export class ClientDisconnectedError extends Error {
  constructor() {
    super('The client closed the connection before its answer was complete');
    this.name = 'ClientLeftError';
  }
}

const INVOCATION_HEADER = 'x-ms-invocation-id';
/** How long a client that left at once is remembered for the handler that has yet to run. */
const UNCLAIMED_MS = 10_000;
/** Enough for a client to finish sending and to read why it was refused; then it is cut. */
const LINGER_MS = 1_000;

const unclaimed = new Map<string, ClientConnection>();
let tracking = false;

/** Starts to watch requests. Called once while triggers register, before any request exists. */
export function trackConnections(): void {
  if (tracking) return;
  tracking = true;
  subscribe('http.server.request.start', (message) => {
    const { request, response } = message as { request: IncomingMessage; response: ServerResponse };
    track(request, response);
  });
}

/** The connection of an invocation, given out once; undefined where the host does not stream. */
export function claimConnection(invocationId: string): ClientConnection | undefined {
  const connection = unclaimed.get(invocationId);
  unclaimed.delete(invocationId);
  return connection;
}

function track(request: IncomingMessage, response: ServerResponse): void {
  const id = request.headers[INVOCATION_HEADER];
  if (typeof id !== 'string') return;
  const left = new AbortController();
  const connection: ClientConnection = {
    headers: request.headers,
    clientLeft: left.signal,
    drained: (signal) => untilDrained(response, [left.signal, signal]),
    cut: () => void response.destroy(),
  };
  unclaimed.set(id, connection);
  const { socket } = request;
  response.once('finish', () => discardRest(request, socket));
  response.once('close', () => {
    if (!response.writableFinished) left.abort(new ClientDisconnectedError());
    forgetLater(id, connection);
  });
}

/**
 * What the handler did not read of a body would stay in the connection, and the next request that
 * the host sends over it would never be seen.
 */
function discardRest(request: IncomingMessage, socket: IncomingMessage['socket']): void {
  if (request.readableEnded) return;
  if (request.destroyed) {
    if (!request.complete) socket.destroy();
    return;
  }
  const timer = setTimeout(() => socket.destroy(), LINGER_MS);
  request.once('close', () => clearTimeout(timer));
  // Whoever began to read holds the stream back with this listener.
  request.removeAllListeners('readable');
  request.on('error', () => undefined);
  request.resume();
}

/** A client may leave before its handler begins; the handler must still learn of it. */
function forgetLater(id: string, connection: ClientConnection): void {
  if (unclaimed.get(id) !== connection) return;
  setTimeout(() => {
    if (unclaimed.get(id) === connection) unclaimed.delete(id);
  }, UNCLAIMED_MS).unref();
}

function untilDrained(response: ServerResponse, signals: readonly AbortSignal[]): Promise<void> {
  if (!response.writableNeedDrain || signals.some(({ aborted }) => aborted)) {
    return Promise.resolve();
  }
  const { promise, resolve } = Promise.withResolvers<void>();
  const settle = (): void => {
    response.off('drain', settle);
    for (const signal of signals) signal.removeEventListener('abort', settle);
    resolve();
  };
  response.on('drain', settle);
  for (const signal of signals) signal.addEventListener('abort', settle);
  return promise;
}
