import type { HttpResponseInit } from '@azure/functions';
import type { ServiceError } from '../errors.ts';
import { toProblem } from './problem.ts';

/** What every answer carries so that a caller can quote it. */
export interface Quotable {
  readonly requestId: string;
  readonly traceparent: string;
}

export function jsonResponse(value: unknown, status = 200): HttpResponseInit {
  return {
    status,
    headers: { 'content-type': 'application/json', 'cache-control': 'no-store' },
    body: JSON.stringify(value),
  };
}

export function problemResponse(error: ServiceError, quotable: Quotable): HttpResponseInit {
  const problem = toProblem(error, quotable.requestId);
  const headers: Record<string, string> = {
    'content-type': 'application/problem+json',
    'cache-control': 'no-store',
  };
  if (error.retryAfterSeconds !== undefined) {
    headers['retry-after'] = String(Math.max(1, Math.ceil(error.retryAfterSeconds)));
  }
  if (problem.status === 401) headers['www-authenticate'] = 'Bearer';
  return withQuotable({ status: problem.status, headers, body: JSON.stringify(problem) }, quotable);
}

/** The response with the ids of its request in the headers. */
export function withQuotable(response: HttpResponseInit, quotable: Quotable): HttpResponseInit {
  const headers = {
    ...(response.headers as Record<string, string> | undefined),
    'x-request-id': quotable.requestId,
    traceparent: quotable.traceparent,
  };
  return { ...response, headers };
}
