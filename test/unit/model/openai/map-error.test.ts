import { describe, expect, it } from 'vitest';
import { mapStatus } from '../../../../shared/model/openai/map-error.ts';
import { describeError } from '../../../../shared/telemetry/describe-error.ts';

const NOW = Date.parse('2026-11-21T07:00:00Z');

function map(status: number, error: unknown, headers: Record<string, string> = {}) {
  return mapStatus({ status, error, headers: new Headers(headers), now: NOW });
}

describe('mapStatus', () => {
  it.each([
    ['U6', 429, { code: 'insufficient_quota' }, 'upstream_quota', 'failover', false],
    ['U6', 429, { type: 'insufficient_quota' }, 'upstream_quota', 'failover', false],
    ['U6', 402, { message: 'pay' }, 'upstream_quota', 'failover', false],
    ['U1', 429, { code: 'rate_limit_exceeded' }, 'upstream_rate_limited', 'backoff', false],
    ['U7', 500, undefined, 'upstream_unavailable', 'backoff', true],
    ['U7', 502, undefined, 'upstream_unavailable', 'backoff', true],
    ['U7', 503, undefined, 'upstream_unavailable', 'backoff', true],
    ['U7', 504, undefined, 'upstream_unavailable', 'backoff', true],
    ['U7', 529, undefined, 'upstream_unavailable', 'backoff', true],
    ['U7', 408, undefined, 'upstream_unavailable', 'backoff', true],
    ['U7', 501, undefined, 'upstream_misconfigured', 'failover', false],
    ['U18', 400, { code: 'content_filter' }, 'content_filtered', 'none', false],
    ['U19', 400, { code: 'context_length_exceeded' }, 'context_too_long', 'none', false],
    [
      'U19',
      400,
      { message: "This model's maximum context length is 8192 tokens" },
      'context_too_long',
      'none',
      false,
    ],
    ['U19', 413, undefined, 'context_too_long', 'none', false],
    [
      'T6',
      429,
      { code: 'rate_limit_exceeded', message: 'Request too large for gpt-5 in organization x' },
      'context_too_long',
      'failover',
      false,
    ],
    ['U20', 401, { code: 'invalid_api_key' }, 'upstream_auth', 'refresh-credentials', false],
    ['U20', 403, undefined, 'upstream_auth', 'refresh-credentials', false],
    ['U21', 404, { code: 'DeploymentNotFound' }, 'upstream_misconfigured', 'failover', false],
    ['U21', 400, { code: 'invalid_value' }, 'upstream_misconfigured', 'none', false],
    ['U21', 422, undefined, 'upstream_misconfigured', 'none', false],
    ['U23', 301, undefined, 'upstream_misconfigured', 'failover', false],
    ['U23', 308, undefined, 'upstream_misconfigured', 'failover', false],
  ])('%s: %i with %j is %s, %s', (...row) => {
    const [, status, error, code, retryMode, countsAsFailure] = row;

    const failure = map(status, error);

    expect(failure.code).toBe(code);
    expect(failure.retryMode).toBe(retryMode);
    expect(failure.countsAsFailure).toBe(countsAsFailure);
  });

  it('U18: names the matching categories and nothing else', () => {
    const failure = map(400, {
      code: 'content_filter',
      message: 'SECRET prompt text',
      innererror: {
        code: 'ResponsibleAIPolicyViolation',
        content_filter_result: {
          violence: { filtered: true, severity: 'high' },
          hate: { filtered: false, severity: 'safe' },
          jailbreak: { filtered: true, detected: true },
          'https://evil.example/<script>': { filtered: true },
        },
      },
    });

    expect(failure.message).toBe('The content filter refused this content: jailbreak, violence');
  });

  it('U18: recognises the violation by its inner code', () => {
    const failure = map(400, {
      code: 'BadRequest',
      innererror: { code: 'ResponsibleAIPolicyViolation' },
    });

    expect(failure.code).toBe('content_filtered');
  });

  it('U5: uses the rate limit headers where there is no Retry-After', () => {
    const failure = map(429, {}, { 'x-ratelimit-reset-tokens': '12ms' });

    expect(failure.waitMs).toBe(12);
  });

  it('keeps texts, keys and addresses out of messages and causes', () => {
    const canaries = ['sk-canary-1', 'https://canary.example', 'canary-deployment'];
    const statuses = [301, 400, 401, 403, 404, 408, 422, 429, 500, 503];

    const texts = statuses.map((status) => {
      const message = canaries.join(' ');
      const failure = map(status, { message, code: message, param: message, type: message });
      return `${failure.message} ${describeError(failure)} ${JSON.stringify(failure)} ${failure.stack}`;
    });

    expect(texts.filter((text) => canaries.some((canary) => text.includes(canary)))).toEqual([]);
  });

  it.each([[null], [7], ['text'], [[]], [{ code: 7, message: {}, innererror: 'x' }]])(
    'accepts the error body %j',
    (error) => {
      expect(map(503, error).code).toBe('upstream_unavailable');
    },
  );
});
