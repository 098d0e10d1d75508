import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createCallLog, type RecordedCall } from './call-log.ts';
import type { RateLimit } from './faults/rate-limits.ts';
import { createRouter } from './route-request.ts';

export type { RecordedCall } from './call-log.ts';
export type { RateLimit } from './faults/rate-limits.ts';

export interface DevelopmentModelOptions {
  /** 0 chooses a free port. */
  readonly port?: number;
  /**
   * Delay between two streamed tokens in milliseconds; the default makes a reply visible as it
   * grows.
   */
  readonly tokenDelayMs?: number;
  /** Multiplies every scripted delay; a Retry-After stays unchanged. */
  readonly scale?: number;
}

/** A running OpenAI-compatible server, for use without a real model. */
export interface DevelopmentModel {
  /** The base URL for a client, with /v1. */
  readonly url: string;
  readonly port: number;
  calls(): readonly RecordedCall[];
  /** From now on the server refuses requests over this limit with 429, whatever model they name. */
  limitRate(rule: RateLimit): void;
  /** Clears the calls, restarts every scripted fault, and removes the limit. */
  reset(): void;
  stop(): Promise<void>;
}

/** Starts the development model on loopback and resolves when it listens. */
export async function startDevelopmentModel(
  options: DevelopmentModelOptions = {},
): Promise<DevelopmentModel> {
  const { port = 0, tokenDelayMs = 15, scale = 1 } = options;
  const log = createCallLog();
  let rule: RateLimit = noLimit;
  const rateLimit: RateLimit = (request) => rule(request);
  const server = createServer(createRouter({ log, tokenDelayMs, scale, rateLimit }));
  // Longer than the idle timeout of common clients, so that no request meets a closing socket.
  server.keepAliveTimeout = 65_000;
  server.on('clientError', (_error, socket) => {
    if (socket.writable) socket.end('HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n');
  });
  const listeningPort = await listen(server, port);
  return {
    url: `http://127.0.0.1:${listeningPort}/v1`,
    port: listeningPort,
    calls: () => log.calls(),
    limitRate(next) {
      rule = next;
    },
    reset() {
      rule = noLimit;
      log.reset();
    },
    stop: () => close(server),
  };
}

function noLimit(): undefined {}

function listen(server: Server, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', () => {
      server.removeListener('error', reject);
      resolve((server.address() as AddressInfo).port);
    });
  });
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
}
