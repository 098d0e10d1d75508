import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { CliError } from '../../cli-error.ts';
import { refuse } from './answer.ts';
import { readRequestTarget } from './request-target.ts';
import type { RequestTarget } from './request-target.ts';

/** Limits of the platform's web server, in bytes but for the last. */
const MAX_REQUEST_LINE = 8 * 1024;
const MAX_HEADERS = 32 * 1024;
const MAX_HEADER_COUNT = 100;
/** Where Node itself gives up: far beyond, so that the right limit is the one that answers. */
const PARSER_LIMIT = 1024 * 1024;

export type HandleRequest = (
  request: IncomingMessage,
  response: ServerResponse,
  target: RequestTarget,
) => void;

export interface HttpServerOptions {
  readonly port: number;
  readonly keepAliveMs: number;
  readonly handle: HandleRequest;
}

export interface HttpServer {
  readonly port: number;
  /** Takes no connection any more; resolves when the last one is gone. */
  close(): Promise<void>;
  /** Ends what is still open. */
  reset(): void;
}

/** Listens on loopback with the limits that the platform's web server has. */
export async function listen(options: HttpServerOptions): Promise<HttpServer> {
  const server = createServer({
    maxHeaderSize: PARSER_LIMIT,
    keepAliveTimeout: options.keepAliveMs,
    requestTimeout: 0,
    highWaterMark: 64 * 1024,
  });
  server.maxHeadersCount = 0;
  let closed: Promise<unknown> | undefined;
  server.on('request', (request, response) => {
    // A client that leaves in the middle is nothing to end this process for.
    response.on('error', () => undefined);
    const target = admit(request, response);
    if (target !== undefined) options.handle(request, response, target);
    // Without this a connection that has served its last request would stay open until it is idle.
    response.once('finish', () => {
      if (closed !== undefined) setImmediate(() => server.closeIdleConnections());
    });
  });
  await bind(server, options.port);
  return {
    port: (server.address() as AddressInfo).port,
    async close() {
      closed ??= once(server.close(), 'close');
      server.closeIdleConnections();
      await closed;
    },
    reset: () => server.closeAllConnections(),
  };
}

async function bind(server: Server, port: number): Promise<void> {
  try {
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    const reason = code === 'EADDRINUSE' ? 'another process uses it' : String(error);
    const failure = new CliError(`Cannot start as port ${port} must be free: ${reason}`, {
      cause: error,
    });
    throw Object.assign(failure, { code });
  }
}

/** Answers what the web server refuses before the host sees it. */
function admit(request: IncomingMessage, response: ServerResponse): RequestTarget | undefined {
  const url = request.url ?? '/';
  const lineLength = (request.method ?? '').length + url.length + ' HTTP/1.1\r\n'.length + 1;
  let status = 0;
  let target: RequestTarget | undefined;
  if (lineLength > MAX_REQUEST_LINE) status = 414;
  else if (areTooLarge(request.rawHeaders)) status = 431;
  else {
    target = readRequestTarget(url);
    if (target === undefined) status = 400;
  }
  if (status !== 0) refuse(response, status, { Connection: 'close' });
  return target;
}

function areTooLarge(rawHeaders: readonly string[]): boolean {
  if (rawHeaders.length > 2 * MAX_HEADER_COUNT) return true;
  let size = 0;
  for (const text of rawHeaders) size += text.length + 2;
  return size > MAX_HEADERS;
}
