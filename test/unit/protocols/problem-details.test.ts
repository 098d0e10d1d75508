import { describe, expect, it } from 'vitest';
import { isRetryable, ServiceError, type ErrorCode } from '../../../shared/errors.ts';
import { statusOf, toProblem } from '../../../shared/protocols/problem-details.ts';

const STATUSES: Record<ErrorCode, number> = {
  invalid_json: 400,
  invalid_encoding: 400,
  invalid_request: 400,
  unauthorized: 401,
  forbidden: 403,
  not_found: 404,
  previous_response_not_found: 400,
  session_not_found: 404,
  request_timeout: 408,
  session_busy: 409,
  idempotency_in_progress: 409,
  payload_too_large: 413,
  context_too_long: 413,
  context_length_exceeded: 400,
  unsupported_media_type: 415,
  content_filtered: 422,
  guardrail_blocked: 422,
  idempotency_mismatch: 422,
  rate_limited: 429,
  budget_exhausted: 429,
  upstream_rate_limited: 429,
  internal: 500,
  upstream_invalid: 502,
  upstream_interrupted: 502,
  upstream_misconfigured: 502,
  upstream_unavailable: 503,
  upstream_quota: 503,
  upstream_auth: 503,
  overloaded: 503,
  config_unavailable: 503,
  storage_unavailable: 503,
  upstream_timeout: 504,
};

describe('toProblem', () => {
  it.each(Object.entries(STATUSES) as [ErrorCode, number][])(
    'answers %s with %d',
    (code, status) => {
      const problem = toProblem(new ServiceError(code, 'What happened'), 'r1');

      expect(statusOf(code)).toBe(status);
      expect(problem).toMatchObject({
        status,
        detail: 'What happened',
        instance: 'urn:request:r1',
        requestId: 'r1',
        retryable: isRetryable(code),
        error: { message: 'What happened', code, param: null },
      });
    },
  );

  it.each([
    ['invalid_request', 'invalid_request_error'],
    ['unauthorized', 'authentication_error'],
    ['forbidden', 'permission_error'],
    ['rate_limited', 'rate_limit_error'],
    ['internal', 'server_error'],
  ] as const)('names the family of %s as clients know it', (code, type) => {
    expect(toProblem(new ServiceError(code, 'x'), 'r1').error.type).toBe(type);
  });

  it('names the field and shows nothing of the cause', () => {
    const cause = new Error('sk-secret at https://upstream.internal');

    const problem = toProblem(
      new ServiceError('invalid_request', 'x', { cause, param: 'a.b' }),
      'r',
    );

    expect(problem.error.param).toBe('a.b');
    expect(JSON.stringify(problem)).not.toMatch(/secret|upstream|stack/);
  });
});
