import { createServer, STATUS_CODES } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { once } from 'node:events';
import { connect } from 'node:net';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { CliError } from '../../cli-error.ts';
import { admitRequest, rewriteHead } from './admit-request.ts';
import { refuse } from './answer.ts';
import type { RequestTarget } from './request-target.ts';

/** Where Node itself refuses headers, in bytes: far beyond, so that the platform's limit answers. */
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

/** Listens on loopback; accepts and refuses what the platform's web server does. */
export async function listen(options: HttpServerOptions): Promise<HttpServer> {
  const server = createServer({
    // Control characters in values, bare line feeds, a length beside chunked encoding.
    insecureHTTPParser: true,
    maxHeaderSize: PARSER_LIMIT,
    keepAliveTimeout: options.keepAliveMs,
    requestTimeout: 0,
    highWaterMark: 64 * 1024,
  });
  server.maxHeadersCount = 0;
  let closed: Promise<unknown> | undefined;
  server.on('request', (request, response) => {
    // A client that disconnects early must not end this process.
    response.on('error', () => undefined);
    const admission = admitRequest(request);
    if ('status' in admission) refuse(response, admission.status, { Connection: 'close' });
    else options.handle(request, response, admission.target);
    // Without this a connection that has served its last request would stay open until it is idle.
    response.once('finish', () => {
      if (closed !== undefined) setImmediate(() => server.closeIdleConnections());
    });
  });
  // The platform's web server passes on what it does not know; Node would answer 417.
  server.on('checkExpectation', (request, response) => server.emit('request', request, response));
  const rewritten = new Set<Duplex>();
  server.on('clientError', (error, socket) => readLeniently(error, { socket, server, rewritten }));
  await bind(server, options.port);
  return {
    port: portOf(server),
    async close() {
      closed ??= once(server.close(), 'close');
      server.closeIdleConnections();
      await closed;
    },
    reset() {
      server.closeAllConnections();
      for (const socket of rewritten) socket.destroy();
    },
  };
}

interface Unparsed {
  readonly socket: Duplex;
  readonly server: Server;
  /** Sockets whose request takes the way below. */
  readonly rewritten: Set<Duplex>;
}

/** Sends a request that only Node's parser refuses through a connection of its own, rewritten. */
function readLeniently(error: Error, { socket, server, rewritten }: Unparsed): void {
  const packet =
    'rawPacket' in error && Buffer.isBuffer(error.rawPacket) ? error.rawPacket : undefined;
  const head = packet === undefined ? undefined : rewriteHead(packet);
  if (!socket.writable) socket.destroy();
  else if (head === undefined) {
    socket.end(
      `HTTP/1.1 400 ${STATUS_CODES[400]}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`,
    );
  } else {
    const inner = connect(portOf(server), '127.0.0.1');
    rewritten.add(socket);
    inner.on('error', () => socket.destroy());
    inner.once('close', () => socket.end());
    socket.once('close', () => {
      rewritten.delete(socket);
      inner.destroy();
    });
    inner.write(head);
    socket.pipe(inner).pipe(socket);
  }
}

function portOf(server: Server): number {
  return (server.address() as AddressInfo).port;
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
