import { type ErrorCode, ServiceError } from '../errors.ts';

/**
 * Which further call may succeed after a failure.
 * - immediate: the same endpoint at once, because the next request differs (at most once per call)
 * - backoff: the same endpoint after a wait
 * - once: as backoff, but a second failure of this mode ends the call
 * - refresh-credentials: the same endpoint with new credentials
 * - failover: another endpoint only
 * - none: no endpoint
 */
export type RetryMode =
  | 'immediate'
  | 'backoff'
  | 'once'
  | 'refresh-credentials'
  | 'failover'
  | 'none';

export interface UpstreamFailureOptions {
  readonly retryMode: RetryMode;
  /** Whether the circuit breaker of the endpoint counts this as a failure. */
  readonly countsAsFailure: boolean;
  /** Wait that the endpoint requested, in milliseconds. */
  readonly waitMs?: number | undefined;
  /** Whether the wait is for this request only, because the endpoint accepts smaller ones. */
  readonly isRequestSpecific?: boolean | undefined;
  /** Retry-After for callers, where this service knows it. */
  readonly retryAfterSeconds?: number | undefined;
  /** The field of the caller that the endpoint rejected. */
  readonly param?: string | undefined;
  readonly cause?: unknown;
}

/** One failed call to one endpoint: the public error, and what the retry decision needs. */
export class UpstreamFailure extends ServiceError {
  readonly retryMode: RetryMode;
  readonly countsAsFailure: boolean;
  readonly waitMs: number | undefined;
  readonly isRequestSpecific: boolean;

  constructor(code: ErrorCode, message: string, options: UpstreamFailureOptions) {
    const { cause, retryAfterSeconds, param } = options;
    super(code, message, { cause, retryAfterSeconds, param });
    this.name = 'UpstreamFailure';
    this.retryMode = options.retryMode;
    this.countsAsFailure = options.countsAsFailure;
    this.waitMs = options.waitMs;
    this.isRequestSpecific = options.isRequestSpecific === true;
  }
}

export interface UpstreamCauseOptions {
  readonly status?: number | undefined;
  readonly code?: string | undefined;
}

/**
 * What the endpoint did, for the log. It is built from scratch because the errors of HTTP clients
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

/** The endpoint sent a response that cannot be used. One retry is worthwhile, two are not. */
export function invalidResponse(reason: string): UpstreamFailure {
  return new UpstreamFailure('upstream_invalid', 'The model gave an answer that cannot be read', {
    retryMode: 'once',
    countsAsFailure: true,
    cause: new UpstreamCause(reason),
  });
}

/** The response ended without a finish reason, so it is incomplete. */
export function interruptedResponse(reason: string, code?: string): UpstreamFailure {
  return new UpstreamFailure(
    'upstream_interrupted',
    'The model stopped in the middle of an answer',
    {
      retryMode: 'backoff',
      countsAsFailure: true,
      cause: new UpstreamCause(reason, { code }),
    },
  );
}

export function timedOutResponse(reason: string): UpstreamFailure {
  return new UpstreamFailure('upstream_timeout', 'The model did not answer in time', {
    retryMode: 'backoff',
    countsAsFailure: true,
    cause: new UpstreamCause(reason),
  });
}

/** The content filter rejected the prompt or cut the response. Names categories, never content. */
export function filteredContent(
  categories: readonly string[],
  cause: UpstreamCause,
): UpstreamFailure {
  const names = categories.length === 0 ? '' : `: ${categories.join(', ')}`;
  return new UpstreamFailure(
    'content_filtered',
    `The content filter refused this content${names}`,
    {
      retryMode: 'none',
      countsAsFailure: false,
      cause,
    },
  );
}

/** The key or token could not be read; the reason is for the log only. */
export function credentialUnavailable(thrown: unknown): UpstreamFailure {
  const message = 'The service could not get the credentials for the model';
  return new UpstreamFailure('config_unavailable', message, {
    retryMode: 'failover',
    countsAsFailure: false,
    cause: thrown,
  });
}

/** The endpoint expects the other name of the token limit, which the next request uses. */
export function renamedTokenLimit(): UpstreamFailure {
  const message = 'The model endpoint is not set up as the service expects';
  return new UpstreamFailure('upstream_misconfigured', message, {
    retryMode: 'immediate',
    countsAsFailure: false,
    cause: new UpstreamCause('Upstream refused the name of the token limit', { status: 400 }),
  });
}

/** Converts anything that a call to an endpoint throws. */
export function toUpstreamFailure(thrown: unknown): UpstreamFailure {
  if (thrown instanceof UpstreamFailure) return thrown;
  if (thrown instanceof ServiceError) {
    // This service failed to get the credentials; the endpoint is not at fault.
    return new UpstreamFailure(thrown.code, thrown.message, {
      retryMode: 'failover',
      countsAsFailure: false,
      retryAfterSeconds: thrown.retryAfterSeconds,
      cause: thrown,
    });
  }
  return new UpstreamFailure('internal', 'The service failed to handle this request', {
    retryMode: 'none',
    countsAsFailure: false,
    cause: thrown,
  });
}
