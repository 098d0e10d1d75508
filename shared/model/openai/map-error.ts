import * as z from 'zod';
import type { ModelRequest } from '../model.ts';
import { findRejectedField, type RejectedField } from './rejected-field.ts';
import { filteredContent, UpstreamCause, UpstreamFailure } from '../upstream-error.ts';
import {
  type HeaderSource,
  readRateLimitResetMs,
  readRetryAfterMs,
} from '../../resilience/retry-after.ts';

/** The parts of an error response that the mapping reads. */
export interface RejectedResponse {
  readonly status: number;
  readonly headers: HeaderSource;
  /** The `error` member of the body, not validated. */
  readonly error: unknown;
  /** Milliseconds since the epoch, because Retry-After may be a date. */
  readonly now: number;
  /** Estimated tokens of the request, the bound on its output included. */
  readonly requestedTokens?: number | undefined;
  /** What was sent. */
  readonly request?: ModelRequest | undefined;
}

const QUOTA_CODES = new Set([
  'insufficient_quota',
  'billing_hard_limit_reached',
  'billing_not_active',
  'quota_exceeded',
]);
/**
 * Statuses that another request to the same endpoint does not change, besides those about the
 * request, the credentials and the quota. Every other status above 399 is transient: many are
 * private to a proxy, such as 499 for a closed connection, and show nothing about the request.
 */
const PERMANENT = new Set([
  404, 405, 406, 407, 410, 411, 412, 414, 415, 416, 417, 426, 428, 431, 451, 501, 505,
]);

/** The only table from response statuses to failures. It passes on no text of the endpoint. */
export function mapStatus(response: RejectedResponse): UpstreamFailure {
  const { status } = response;
  const body = readErrorBody(response.error);
  const cause = new UpstreamCause(`Upstream answered ${status}`, {
    status,
    code: safeCode(body.code),
  });
  if (body.code === 'content_filter') return filteredContent(body.categories, cause);
  if (isTooLong(status, body)) {
    return rejectedRequest('context_too_long', 'The conversation is too long for the model', cause);
  }
  if (status === 402 || QUOTA_CODES.has(body.code)) {
    return failover('upstream_quota', 'The quota of the model is used up', cause);
  }
  if (status === 401 || status === 403) {
    return new UpstreamFailure(
      'upstream_auth',
      'The model refused the credentials of the service',
      {
        retryMode: 'refresh-credentials',
        countsAsFailure: false,
        cause,
      },
    );
  }
  if (status === 429) return rateLimited(response, { body, cause });
  const message = 'The model endpoint is not set up as the service expects';
  // Every endpoint would reject a request that one of them cannot read.
  if (status === 400 || status === 422) {
    const field = response.request && findRejectedField(body, response.request);
    return field === undefined
      ? rejectedRequest('upstream_misconfigured', message, cause)
      : rejectedField(field, cause);
  }
  if (status < 400 || PERMANENT.has(status)) {
    return failover('upstream_misconfigured', message, cause);
  }
  return unavailable(response, cause);
}

function isTooLong(status: number, body: UpstreamErrorBody): boolean {
  if (body.code === 'context_length_exceeded' || status === 413) return true;
  // Compatible servers send no code, only a message.
  return (
    status === 400 && /maximum context length|context window|context length/i.test(body.message)
  );
}

interface RateLimitDetails {
  readonly body: UpstreamErrorBody;
  readonly cause: UpstreamCause;
}

function rateLimited(
  response: RejectedResponse,
  { body, cause }: RateLimitDetails,
): UpstreamFailure {
  const { headers, now } = response;
  if (exceedsLimit(response, body)) {
    const message = 'The request is larger than the rate limit of the model';
    return failover('context_too_long', message, cause);
  }
  return new UpstreamFailure('upstream_rate_limited', 'The model is at its rate limit', {
    retryMode: 'backoff',
    countsAsFailure: false,
    waitMs: readRetryAfterMs(headers, now) ?? readRateLimitResetMs(headers),
    isRequestSpecific: isMostlyFree(headers),
    cause,
  });
}

/** Whether the request alone is larger than the limit, so that waiting cannot help it. */
function exceedsLimit(
  { headers, requestedTokens = 0 }: RejectedResponse,
  { message }: UpstreamErrorBody,
): boolean {
  if (/request (?:is )?too large/i.test(message)) return true;
  const [limit, requested] = [/limit:? ([\d,]+)/i, /requested:? ([\d,]+)/i].map((pattern) =>
    readCount(pattern.exec(message)?.[1] ?? null),
  );
  if (limit !== undefined && requested !== undefined) return requested > limit;
  const headerLimit = readTokenLimit(headers);
  return headerLimit !== undefined && requestedTokens > headerLimit;
}

/** Whether at least half of the token limit is left: then the request is large, not the load. */
function isMostlyFree(headers: HeaderSource): boolean {
  const limit = readTokenLimit(headers);
  const remaining = readCount(headers.get('x-ratelimit-remaining-tokens'));
  const areRequestsUsedUp = readCount(headers.get('x-ratelimit-remaining-requests')) === 0;
  if (limit === undefined || remaining === undefined || areRequestsUsedUp) return false;
  return remaining >= limit / 2;
}

/** Servers send 0 and -1 for an unknown limit. */
function readTokenLimit(headers: HeaderSource): number | undefined {
  return readCount(headers.get('x-ratelimit-limit-tokens')) || undefined;
}

function readCount(text: string | null): number | undefined {
  const digits = text?.replaceAll(',', '').trim() ?? '';
  return /^\d{1,15}$/.test(digits) ? Number(digits) : undefined;
}

function unavailable(response: RejectedResponse, cause: UpstreamCause): UpstreamFailure {
  return new UpstreamFailure('upstream_unavailable', 'The model is not available', {
    retryMode: 'backoff',
    countsAsFailure: true,
    waitMs: readRetryAfterMs(response.headers, response.now),
    cause,
  });
}

type FinalCode = 'context_too_long' | 'upstream_misconfigured' | 'upstream_quota';

function rejectedRequest(code: FinalCode, message: string, cause: UpstreamCause): UpstreamFailure {
  return new UpstreamFailure(code, message, { retryMode: 'none', countsAsFailure: false, cause });
}

/** The caller set the field, so the caller can change it; no operator is needed. */
function rejectedField({ param, problem }: RejectedField, cause: UpstreamCause): UpstreamFailure {
  return new UpstreamFailure(
    'invalid_request',
    `Cannot accept the request: "${param}" ${problem}`,
    { retryMode: 'none', countsAsFailure: false, param, cause },
  );
}

function failover(code: FinalCode, message: string, cause: UpstreamCause): UpstreamFailure {
  return new UpstreamFailure(code, message, {
    retryMode: 'failover',
    countsAsFailure: false,
    cause,
  });
}

const MAX_CHAIN = 5;

/** No response: refused, reset, unknown host, TLS. Messages of such errors contain addresses. */
export function mapTransportError(thrown: unknown): UpstreamFailure {
  return new UpstreamFailure('upstream_unavailable', 'The model cannot be reached', {
    retryMode: 'backoff',
    countsAsFailure: true,
    cause: new UpstreamCause('Upstream could not be reached', { code: findCode(thrown) }),
  });
}

/** The request could not be built: an invalid address or credential. */
export function misconfigured(reason: string): UpstreamFailure {
  const message = 'The model endpoint is not set up as the service expects';
  return new UpstreamFailure('upstream_misconfigured', message, {
    retryMode: 'failover',
    countsAsFailure: false,
    cause: new UpstreamCause(reason),
  });
}

/** The error code of the system, such as ECONNREFUSED, from the error or its causes. */
function findCode(thrown: unknown): string | undefined {
  let current: unknown = thrown;
  for (let depth = 0; depth < MAX_CHAIN && current instanceof Error; depth += 1) {
    const code = 'code' in current ? safeCode(current.code) : undefined;
    if (code !== undefined) return code;
    current = current.cause;
  }
  return undefined;
}

/** The common members of error bodies of OpenAI, Azure and compatible servers. */
export interface UpstreamErrorBody {
  readonly code: string;
  readonly param: string;
  /** Used to classify the failure only; never logged or returned. */
  readonly message: string;
  /** Categories of the content filter that matched. */
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
  // Servers built on FastAPI: a text, or a list with the path of each invalid field.
  detail: z
    .union([
      z.string().transform((text) => [{ loc: [], msg: text }]),
      z.array(z.object({ loc: z.array(z.union([z.string(), z.number()])), msg: z.string() })),
    ])
    .catch([]),
  innererror: z
    .object({
      code: shortCode,
      content_filter_result: z.record(z.string(), z.unknown()).catch({}),
    })
    .catch({ code: '', content_filter_result: {} }),
});
const hitSchema = z.object({ filtered: z.literal(true) });

/** Reads the `error` member of a body; a missing or wrongly typed member is empty. */
export function readErrorBody(error: unknown): UpstreamErrorBody {
  if (typeof error === 'string') return { ...EMPTY, message: error.slice(0, MAX_MESSAGE_CHARS) };
  const parsed = errorSchema.safeParse(error);
  if (!parsed.success) return EMPTY;
  const { code, type, innererror, detail } = parsed.data;
  const message = parsed.data.message || detail.map(({ msg }) => msg).join(' ');
  const param = parsed.data.param || (detail[0]?.loc.join('.') ?? '');
  const hits = Object.entries(innererror.content_filter_result).filter(
    ([name, result]) => /^[a-z_]{1,40}$/.test(name) && hitSchema.safeParse(result).success,
  );
  return {
    code: innererror.code === 'ResponsibleAIPolicyViolation' ? 'content_filter' : code || type,
    param,
    message: message.slice(0, MAX_MESSAGE_CHARS),
    categories: hits.map(([name]) => name).sort(),
  };
}

/** A code of the endpoint if it is safe to log: a short word. */
export function safeCode(code: unknown): string | undefined {
  return typeof code === 'string' && /^[A-Za-z0-9_.-]{1,64}$/.test(code) ? code : undefined;
}
