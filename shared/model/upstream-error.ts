import { type ErrorCode, ServiceError } from '../errors.ts';

/**
 * What one more call could change.
 * - again: the same endpoint may answer now (a setting was adapted); at most once per call
 * - later: the same endpoint may answer after a wait
 * - once: as later, but a second failure of this kind is final
 * - new-key: the credentials may be out of date
 * - elsewhere: another endpoint may answer, this one will not
 * - never: every endpoint would say the same
 */
export type RetryMode = 'again' | 'later' | 'once' | 'new-key' | 'elsewhere' | 'never';

export interface UpstreamFailureOptions {
  readonly remedy: RetryMode;
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
  readonly remedy: RetryMode;
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

/** The upstream answered with something that is no answer; one more try is worth it, two are not. */
export function invalidAnswer(reason: string): UpstreamFailure {
  return new UpstreamFailure('upstream_invalid', 'The model gave an answer that cannot be read', {
    remedy: 'once',
    unhealthy: true,
    cause: new UpstreamCause(reason),
  });
}

/** The answer ended without a reason for ending, so what came is not an answer. */
export function interruptedAnswer(reason: string, code?: string): UpstreamFailure {
  return new UpstreamFailure(
    'upstream_interrupted',
    'The model stopped in the middle of an answer',
    {
      remedy: 'later',
      unhealthy: true,
      cause: new UpstreamCause(reason, { code }),
    },
  );
}

export function timedOutAnswer(reason: string): UpstreamFailure {
  return new UpstreamFailure('upstream_timeout', 'The model did not answer in time', {
    remedy: 'later',
    unhealthy: true,
    cause: new UpstreamCause(reason),
  });
}

/** The content filter refused the prompt or cut the answer; categories only, never the content. */
export function filteredContent(
  categories: readonly string[],
  cause: UpstreamCause,
): UpstreamFailure {
  const names = categories.length === 0 ? '' : `: ${categories.join(', ')}`;
  return new UpstreamFailure(
    'content_filtered',
    `The content filter refused this content${names}`,
    {
      remedy: 'never',
      unhealthy: false,
      cause,
    },
  );
}

/** No key and no token could be had, for a reason that may not be shown. */
export function credentialUnavailable(thrown: unknown): UpstreamFailure {
  const message = 'The service could not get the credentials for the model';
  return new UpstreamFailure('config_unavailable', message, {
    remedy: 'elsewhere',
    unhealthy: false,
    cause: thrown,
  });
}

/** The endpoint knows the token limit by its other name, which the next call will use. */
export function renamedTokenLimit(): UpstreamFailure {
  const message = 'The model endpoint is not set up as the service expects';
  return new UpstreamFailure('upstream_misconfigured', message, {
    remedy: 'again',
    unhealthy: false,
    cause: new UpstreamCause('Upstream refused the name of the token limit', { status: 400 }),
  });
}

/** Anything thrown by a call to an endpoint, as a failure that the retry layer can judge. */
export function toUpstreamFailure(thrown: unknown): UpstreamFailure {
  if (thrown instanceof UpstreamFailure) return thrown;
  if (thrown instanceof ServiceError) {
    // Credentials that cannot be had: our own side failed, so the endpoint is not to blame.
    return new UpstreamFailure(thrown.code, thrown.message, {
      remedy: 'elsewhere',
      unhealthy: false,
      retryAfterSeconds: thrown.retryAfterSeconds,
      cause: thrown,
    });
  }
  return new UpstreamFailure('internal', 'The service failed to handle this request', {
    remedy: 'never',
    unhealthy: false,
    cause: thrown,
  });
}
