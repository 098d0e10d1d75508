import * as z from 'zod';
import { StaleConnectionError } from '../http-client.ts';
import { filteredContent, UpstreamCause, UpstreamFailure } from '../upstream-error.ts';
import {
  type HeaderSource,
  readRateLimitResetMs,
  readRetryAfterMs,
} from '../../resilience/retry-after.ts';

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
    return refusedRequest('context_too_long', 'The conversation is too long for the model', cause);
  }
  if (status === 402 || QUOTA_CODES.has(body.code)) {
    return failover('upstream_quota', 'The quota of the model is used up', cause);
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
  if (status === 400 || status === 422)
    return refusedRequest('upstream_misconfigured', message, cause);
  return failover('upstream_misconfigured', message, cause);
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

function refusedRequest(code: FinalCode, message: string, cause: UpstreamCause): UpstreamFailure {
  return new UpstreamFailure(code, message, { remedy: 'never', unhealthy: false, cause });
}

function failover(code: FinalCode, message: string, cause: UpstreamCause): UpstreamFailure {
  return new UpstreamFailure(code, message, { remedy: 'elsewhere', unhealthy: false, cause });
}

const MAX_CHAIN = 5;

/** No answer at all: refused, reset, no such host, TLS. The texts of such errors name addresses. */
export function mapTransportError(thrown: unknown): UpstreamFailure {
  return new UpstreamFailure('upstream_unavailable', 'The model cannot be reached', {
    remedy: 'later',
    unhealthy: !(thrown instanceof StaleConnectionError),
    cause: new UpstreamCause('Upstream could not be reached', { code: findCode(thrown) }),
  });
}

/** The request could not even be built: an address or a credential that is none. */
export function misconfigured(reason: string): UpstreamFailure {
  const message = 'The model endpoint is not set up as the service expects';
  return new UpstreamFailure('upstream_misconfigured', message, {
    remedy: 'elsewhere',
    unhealthy: false,
    cause: new UpstreamCause(reason),
  });
}

/** The system's word for the failure, such as ECONNREFUSED, which libraries may wrap. */
function findCode(thrown: unknown): string | undefined {
  let current: unknown = thrown;
  for (let depth = 0; depth < MAX_CHAIN && current instanceof Error; depth += 1) {
    const code = 'code' in current ? safeCode(current.code) : undefined;
    if (code !== undefined) return code;
    current = current.cause;
  }
  return undefined;
}

/** What the error bodies of OpenAI, Azure and compatible servers have in common. */
export interface UpstreamErrorBody {
  readonly code: string;
  readonly param: string;
  /** For recognising the kind of failure only: it never leaves the mapping. */
  readonly message: string;
  /** Names of the content filter's categories that were hit. */
  readonly categories: readonly string[];
}

const EMPTY: UpstreamErrorBody = { code: '', param: '', message: '', categories: [] };
const MAX_MESSAGE_CHARS = 2_000;

const shortCode = z.string().catch('');
const errorSchema = z.object({
  code: shortCode,
  type: shortCode,
  param: shortCode,
  message: shortCode,
  innererror: z
    .object({
      code: shortCode,
      content_filter_result: z.record(z.string(), z.unknown()).catch({}),
    })
    .catch({ code: '', content_filter_result: {} }),
});
const hitSchema = z.object({ filtered: z.literal(true) });

/** Reads the `error` member of a body; whatever is missing or of a wrong type is empty. */
export function readErrorBody(error: unknown): UpstreamErrorBody {
  if (typeof error === 'string') return { ...EMPTY, message: error.slice(0, MAX_MESSAGE_CHARS) };
  const parsed = errorSchema.safeParse(error);
  if (!parsed.success) return EMPTY;
  const { code, type, param, message, innererror } = parsed.data;
  const hits = Object.entries(innererror.content_filter_result).filter(
    ([name, verdict]) => /^[a-z_]{1,40}$/.test(name) && hitSchema.safeParse(verdict).success,
  );
  return {
    code: innererror.code === 'ResponsibleAIPolicyViolation' ? 'content_filter' : code || type,
    param,
    message: message.slice(0, MAX_MESSAGE_CHARS),
    categories: hits.map(([name]) => name).sort(),
  };
}

/** A code of the upstream in a form that is safe in a log: a short word or nothing. */
export function safeCode(code: unknown): string | undefined {
  return typeof code === 'string' && /^[A-Za-z0-9_.-]{1,64}$/.test(code) ? code : undefined;
}
