import {
  readRateLimitResetMs,
  readRetryAfterMs,
  type HeaderSource,
} from '../../resilience/retry-after.ts';
import { readErrorBody, safeCode, type UpstreamErrorBody } from './error-body.ts';
import { filteredContent } from '../upstream-error.ts';
import { UpstreamCause, UpstreamFailure } from '../upstream-failure.ts';

/** A response that is no success, as far as the mapping needs it. */
export interface RefusedResponse {
  readonly status: number;
  readonly headers: HeaderSource;
  /** The `error` member of the body, unread. */
  readonly error: unknown;
  /** Milliseconds since the epoch: a Retry-After may be a date. */
  readonly now: number;
}

const QUOTA_CODES = new Set([
  'insufficient_quota',
  'billing_hard_limit_reached',
  'billing_not_active',
  'quota_exceeded',
]);
const TRANSIENT_CLIENT_ERRORS = new Set([408, 409, 425]);
/** The server will never do what was asked, though the number is in the 500s. */
const PERMANENT_SERVER_ERRORS = new Set([501, 505]);

/** The one table from upstream statuses to our failures. No text of the upstream passes it. */
export function mapStatus(response: RefusedResponse): UpstreamFailure {
  const { status } = response;
  const body = readErrorBody(response.error);
  const cause = new UpstreamCause(`Upstream answered ${status}`, {
    status,
    code: safeCode(body.code),
  });
  if (body.code === 'content_filter') return filteredContent(body.categories, cause);
  if (isTooLong(status, body)) {
    return refused('context_too_long', 'The conversation is too long for the model', cause);
  }
  if (status === 402 || QUOTA_CODES.has(body.code)) {
    return elsewhere('upstream_quota', 'The quota of the model is used up', cause);
  }
  if (status === 401 || status === 403) {
    return new UpstreamFailure(
      'upstream_auth',
      'The model refused the credentials of the service',
      {
        remedy: 'new-key',
        unhealthy: false,
        cause,
      },
    );
  }
  if (status === 429) return rateLimited(response, cause);
  if (TRANSIENT_CLIENT_ERRORS.has(status)) return unavailable(response, cause);
  if (status >= 500 && !PERMANENT_SERVER_ERRORS.has(status)) return unavailable(response, cause);
  const message = 'The model endpoint is not set up as the service expects';
  // A request that one endpoint cannot read is built wrongly for all of them.
  if (status === 400 || status === 422) return refused('upstream_misconfigured', message, cause);
  return elsewhere('upstream_misconfigured', message, cause);
}

function isTooLong(status: number, body: UpstreamErrorBody): boolean {
  if (body.code === 'context_length_exceeded' || status === 413) return true;
  // Compatible servers leave the code out and say it in words.
  return (
    status === 400 && /maximum context length|context window|context length/i.test(body.message)
  );
}

function rateLimited(response: RefusedResponse, cause: UpstreamCause): UpstreamFailure {
  return new UpstreamFailure('upstream_rate_limited', 'The model is at its rate limit', {
    remedy: 'later',
    unhealthy: false,
    waitMs:
      readRetryAfterMs(response.headers, response.now) ?? readRateLimitResetMs(response.headers),
    cause,
  });
}

function unavailable(response: RefusedResponse, cause: UpstreamCause): UpstreamFailure {
  return new UpstreamFailure('upstream_unavailable', 'The model is not available', {
    remedy: 'later',
    unhealthy: true,
    waitMs: readRetryAfterMs(response.headers, response.now),
    cause,
  });
}

type FinalCode = 'context_too_long' | 'upstream_misconfigured' | 'upstream_quota';

function refused(code: FinalCode, message: string, cause: UpstreamCause): UpstreamFailure {
  return new UpstreamFailure(code, message, { remedy: 'never', unhealthy: false, cause });
}

function elsewhere(code: FinalCode, message: string, cause: UpstreamCause): UpstreamFailure {
  return new UpstreamFailure(code, message, { remedy: 'elsewhere', unhealthy: false, cause });
}
