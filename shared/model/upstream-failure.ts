import { ServiceError, type ErrorCode } from '../errors.ts';

/**
 * What one more call could change.
 * - again: the same endpoint may answer now (a setting was adapted); at most once per call
 * - later: the same endpoint may answer after a wait
 * - once: as later, but a second failure of this kind is final
 * - new-key: the credentials may be out of date
 * - elsewhere: another endpoint may answer, this one will not
 * - never: every endpoint would say the same
 */
export type Remedy = 'again' | 'later' | 'once' | 'new-key' | 'elsewhere' | 'never';

export interface UpstreamFailureOptions {
  readonly remedy: Remedy;
  /** Whether the failure counts against the endpoint's circuit. */
  readonly unhealthy: boolean;
  /** What the upstream asked to wait. */
  readonly waitMs?: number | undefined;
  /** What callers are told where the failure is our own and knows its end. */
  readonly retryAfterSeconds?: number | undefined;
  readonly cause?: unknown;
}

/** One failed call to one endpoint: what the caller may see, and what the retry layer must know. */
export class UpstreamFailure extends ServiceError {
  readonly remedy: Remedy;
  readonly unhealthy: boolean;
  readonly waitMs: number | undefined;

  constructor(code: ErrorCode, message: string, options: UpstreamFailureOptions) {
    super(code, message, { cause: options.cause, retryAfterSeconds: options.retryAfterSeconds });
    this.name = 'UpstreamFailure';
    this.remedy = options.remedy;
    this.unhealthy = options.unhealthy;
    this.waitMs = options.waitMs;
  }
}

export interface UpstreamCauseOptions {
  readonly status?: number | undefined;
  readonly code?: string | undefined;
}

/**
 * What happened at the upstream, for the log. Made from scratch, because the errors of clients
 * carry response bodies, addresses and headers.
 */
export class UpstreamCause extends Error {
  readonly status: number | undefined;
  readonly code: string | undefined;

  constructor(message: string, options: UpstreamCauseOptions = {}) {
    super(message);
    this.name = 'UpstreamCause';
    this.status = options.status;
    this.code = options.code;
  }
}
