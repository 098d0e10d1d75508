import type { HttpResponseInit } from '@azure/functions';
import { isRetryable, type ServiceError } from '../errors.ts';
import { toProblem } from '../protocols/problem-details.ts';

/** A response whose headers are a plain map, so that more can be added. */
export interface PlainResponse extends HttpResponseInit {
  readonly headers?: Readonly<Record<string, string>>;
}

/** What every answer carries so that a caller can quote it. */
export interface CorrelationIds {
  readonly requestId: string;
  readonly traceparent: string;
}

/** Where nobody knows better: short for a person, long enough not to add to the load. */
const DEFAULT_RETRY_AFTER_SECONDS = 5;
/** Whoever asks for more than a day means "not soon". */
const MAX_RETRY_AFTER_SECONDS = 86_400;

export function jsonResponse(value: unknown, status = 200): PlainResponse {
  return {
    status,
    headers: { 'content-type': 'application/json', 'cache-control': 'no-store' },
    body: JSON.stringify(value),
  };
}

export function problemResponse(error: ServiceError, quotable: CorrelationIds): PlainResponse {
  const problem = toProblem(error, quotable.requestId);
  const headers: Record<string, string> = {
    'content-type': 'application/problem+json',
    'cache-control': 'no-store',
  };
  const retryAfter = retryAfterSecondsOf(error, problem.status);
  if (retryAfter !== undefined) headers['retry-after'] = String(retryAfter);
  if (problem.status === 401) headers['www-authenticate'] = 'Bearer';
  return withCorrelationHeaders(
    { status: problem.status, headers, body: JSON.stringify(problem) },
    quotable,
  );
}

/** Whole seconds, rounded up. A refusal for a while always says for how long. */
function retryAfterSecondsOf(error: ServiceError, status: number): number | undefined {
  const known = error.retryAfterSeconds;
  if (known !== undefined && !Number.isNaN(known)) {
    return Math.min(Math.max(1, Math.ceil(known)), MAX_RETRY_AFTER_SECONDS);
  }
  const forAWhile = (status === 429 || status === 503) && isRetryable(error.code);
  return forAWhile ? DEFAULT_RETRY_AFTER_SECONDS : undefined;
}

/** The response with the ids of its request in the headers. */
export function withCorrelationHeaders(
  response: PlainResponse,
  quotable: CorrelationIds,
): PlainResponse {
  const { requestId, traceparent } = quotable;
  return { ...response, headers: { ...response.headers, 'x-request-id': requestId, traceparent } };
}

/** The response with headers that its own take precedence over. */
export function withHeaders(
  response: PlainResponse,
  headers: Readonly<Record<string, string>>,
): PlainResponse {
  return { ...response, headers: { ...headers, ...response.headers } };
}
