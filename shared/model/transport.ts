import type { Readable } from 'node:stream';
import type { HeaderSource } from '../resilience/retry-after.ts';

/** A way to upstreams: connections that are shared by all who go the same way. */
export interface Transport {
  /** The way to one address. An address that is none is told to whoever sends. */
  to(address: string): Send;
}

/**
 * One exchange: no redirects, no retries, no time limits.
 *
 * @throws TypeError where the request cannot be put on a wire (an address or a header that is none);
 *   the signal's reason after an abort; else the system's error where no answer came
 */
export type Send = (request: UpstreamRequest) => Promise<UpstreamResponse>;

/** One POST of a JSON text. */
export interface UpstreamRequest {
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  /** Ends the exchange at any moment, and closes its socket. */
  readonly signal: AbortSignal;
}

/** What came back: the head, and a body that is read no faster than somebody asks for it. */
export interface UpstreamResponse {
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
