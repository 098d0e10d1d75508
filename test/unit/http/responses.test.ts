import { describe, expect, it } from 'vitest';
import { ServiceError } from '../../../shared/errors.ts';
import {
  jsonResponse,
  problemResponse,
  withCorrelationHeaders,
} from '../../../shared/http/responses.ts';

const IDS = { requestId: 'r1', traceparent: 't1' };

function retryAfter(
  code: ConstructorParameters<typeof ServiceError>[0],
  seconds?: number,
): unknown {
  const error = new ServiceError(code, 'x', { retryAfterSeconds: seconds });
  return problemResponse(error, IDS).headers?.['retry-after'];
}

describe('problemResponse', () => {
  it.each([
    ['invalid_request', 'false'],
    ['upstream_quota', 'false'],
    ['rate_limited', undefined],
    ['upstream_unavailable', undefined],
  ] as const)('F21: says of %s whether OpenAI clients may repeat it: %s', (code, expected) => {
    const { headers } = problemResponse(new ServiceError(code, 'x'), IDS);

    expect(headers?.['x-should-retry']).toBe(expected);
  });

  it.each([
    [2, '2'],
    [1.2, '2'],
    [0.0001, '1'],
    [0, '1'],
    [-5, '1'],
    [Number.POSITIVE_INFINITY, '86400'],
    [Number.NaN, '5'],
  ])('rounds a retry after %d s to %s', (seconds, header) => {
    expect(retryAfter('rate_limited', seconds)).toBe(header);
  });

  it('always has a Retry-After for a temporary error', () => {
    expect(retryAfter('rate_limited')).toBe('5');
    expect(retryAfter('upstream_rate_limited')).toBe('5');
    expect(retryAfter('overloaded')).toBe('5');
    expect(retryAfter('config_unavailable')).toBe('5');
  });

  it('has no Retry-After for a permanent error', () => {
    expect(retryAfter('upstream_quota')).toBeUndefined();
    expect(retryAfter('invalid_json')).toBeUndefined();
    expect(retryAfter('internal')).toBeUndefined();
  });

  it('is a problem that is not cached and has its ids', () => {
    const response = problemResponse(new ServiceError('unauthorized', 'x'), IDS);

    expect(response.headers).toEqual({
      'content-type': 'application/problem+json',
      'content-length': expect.stringMatching(/^\d+$/),
      'cache-control': 'no-store',
      'www-authenticate': 'Bearer',
      'x-should-retry': 'false',
      'x-request-id': 'r1',
      traceparent: 't1',
    });
  });
});

describe('withCorrelationHeaders', () => {
  it('adds the ids and keeps the rest', () => {
    const response = withCorrelationHeaders(jsonResponse({ a: 1 }, 201), IDS);

    expect(response).toMatchObject({ status: 201, body: '{"a":1}' });
    expect(response.headers).toMatchObject({
      'content-type': 'application/json',
      'x-request-id': 'r1',
    });
  });
});
