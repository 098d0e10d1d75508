import type { Readable } from 'node:stream';
import type { HeaderSource } from '../resilience/retry-after.ts';

/** One POST of a JSON text. */
export interface UpstreamRequest {
  readonly url: URL;
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
 * The way to an upstream: one exchange per call, no redirects, no retries, no time limits.
 *
 * @throws TypeError where the request cannot be put on a wire (an address or a header that is none);
 *   the signal's reason after an abort; else the system's error where no answer came
 */
export type Send = (request: UpstreamRequest) => Promise<UpstreamResponse>;
