import type { HttpResponseInit } from '@azure/functions';
import { isRetryable, type ServiceError } from '../errors.ts';
import { toProblem } from '../protocols/problem-details.ts';

/** A response whose headers are a plain object, so that more can be added. */
export interface PlainResponse extends HttpResponseInit {
  readonly headers?: Readonly<Record<string, string>>;
}

/** The ids that every response carries, so that a caller can quote them. */
interface CorrelationIds {
  readonly requestId: string;
  readonly traceparent: string;
}

/** The default without better knowledge: short for a person, long enough to limit the load. */
const DEFAULT_RETRY_AFTER_SECONDS = 5;
/** A longer wait than a day only means "not soon". */
const MAX_RETRY_AFTER_SECONDS = 86_400;

export function jsonResponse(value: unknown, status = 200): PlainResponse {
  return textResponse(JSON.stringify(value), { status, type: 'application/json' });
}

/** With its length, so that the platform's proxy sends it in one piece instead of in chunks. */
function textResponse(
  body: string,
  { status, type }: { readonly status: number; readonly type: string },
) {
  const headers: Record<string, string> = {
    'content-type': type,
    'content-length': String(Buffer.byteLength(body)),
    'cache-control': 'no-store',
  };
  return { status, headers, body };
}

export function problemResponse(error: ServiceError, ids: CorrelationIds): PlainResponse {
  const problem = toProblem(error, ids.requestId);
  const response = textResponse(JSON.stringify(problem), {
    status: problem.status,
    type: 'application/problem+json',
  });
  const { headers } = response;
  const retryAfter = retryAfterSecondsOf(error, problem.status);
  if (retryAfter !== undefined) headers['retry-after'] = String(retryAfter);
  // OpenAI clients otherwise repeat any 408, 409, 429 and 5xx.
  if (!problem.retryable) headers['x-should-retry'] = 'false';
  if (problem.status === 401) headers['www-authenticate'] = 'Bearer';
  return withCorrelationHeaders(response, ids);
}

/** Whole seconds, rounded up. Every temporary error has a value. */
function retryAfterSecondsOf(error: ServiceError, status: number): number | undefined {
  const known = error.retryAfterSeconds;
  if (known !== undefined && !Number.isNaN(known)) {
    return Math.min(Math.max(1, Math.ceil(known)), MAX_RETRY_AFTER_SECONDS);
  }
  const isTemporary = (status === 429 || status === 503) && isRetryable(error.code);
  return isTemporary ? DEFAULT_RETRY_AFTER_SECONDS : undefined;
}

/** Adds the ids of the request to the response headers. */
export function withCorrelationHeaders(
  response: PlainResponse,
  ids: CorrelationIds,
): PlainResponse {
  const { requestId, traceparent } = ids;
  return { ...response, headers: { ...response.headers, 'x-request-id': requestId, traceparent } };
}

/** Adds headers to a response; its own take precedence. */
export function withHeaders(
  response: PlainResponse,
  headers: Readonly<Record<string, string>>,
): PlainResponse {
  return { ...response, headers: { ...headers, ...response.headers } };
}
