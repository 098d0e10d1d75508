import { subscribe } from 'node:diagnostics_channel';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { once } from 'node:events';

/**
 * The socket behind one invocation. The Functions library hands a handler neither the raw headers,
 * nor a sign that the client left, nor back-pressure; its streaming proxy is a plain HTTP server in
 * this process, and Node announces each request that such a server starts.
 */
export interface Connection {
  /** Headers as they came over the wire: a query string or body cannot replace these. */
  readonly headers: IncomingMessage['headers'];
  /** Aborts when the client is gone before its answer is complete. */
  readonly clientLeft: AbortSignal;
  /** Resolves when the client has read enough for more to be sent, or is gone. */
  drained(): Promise<void>;
}

/** The reason of an abort that the client caused: nobody is there to read an error. */
export class ClientLeftError extends Error {
  constructor() {
    super('The client closed the connection before its answer was complete');
    this.name = 'ClientLeftError';
  }
}

const INVOCATION_HEADER = 'x-ms-invocation-id';
const byInvocation = new Map<string, Connection>();
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

/** The connection of an invocation; undefined where the host does not stream. */
export function connectionOf(invocationId: string): Connection | undefined {
  return byInvocation.get(invocationId);
}

function track(request: IncomingMessage, response: ServerResponse): void {
  const id = request.headers[INVOCATION_HEADER];
  if (typeof id !== 'string') return;
  const left = new AbortController();
  byInvocation.set(id, {
    headers: request.headers,
    clientLeft: left.signal,
    drained: () => untilDrained(response, left.signal),
  });
  response.once('close', () => {
    byInvocation.delete(id);
    if (!response.writableFinished) left.abort(new ClientLeftError());
  });
}

async function untilDrained(response: ServerResponse, left: AbortSignal): Promise<void> {
  if (!response.writableNeedDrain || left.aborted) return;
  try {
    await once(response, 'drain', { signal: left });
  } catch {
    // Only the abort rejects here, and the reader of `clientLeft` acts on that.
  }
}
