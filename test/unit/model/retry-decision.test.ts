import { describe, expect, it } from 'vitest';
import { decideRetry, type RetryState } from '../../../shared/model/retry-decision.ts';
import {
  credentialUnavailable,
  interruptedResponse,
  invalidResponse,
  renamedTokenLimit,
  timedOutResponse,
  toUpstreamFailure,
} from '../../../shared/model/upstream-error.ts';
import {
  mapStatus,
  mapTransportError,
  misconfigured,
} from '../../../shared/model/openai/map-error.ts';

const FIRST_FAILURE: RetryState = {
  attempts: 1,
  maxAttempts: 3,
  invalidResponses: 0,
  isBackground: false,
  hasRefreshedCredentials: false,
  hasUntriedEndpoint: false,
  hasReadyEndpoint: true,
  cooldown: undefined,
  backoffMs: 250,
  timeLeftMs: 10_000,
  hasRetryBudget: true,
};
const COOLDOWN = { waitMs: 2_000, fromRetryAfter: true };

function status(code: number, error?: unknown, headers: Record<string, string> = {}) {
  return mapStatus({ status: code, error, headers: new Headers(headers), now: 0 });
}

/** The state after a failure: what is left to call depends on its mode. */
function stateAfter(mode: string, state: Partial<RetryState> = {}): RetryState {
  return {
    ...FIRST_FAILURE,
    invalidResponses: mode === 'once' ? 1 : 0,
    hasReadyEndpoint: mode !== 'failover',
    ...state,
  };
}

describe('decideRetry for every kind of failure', () => {
  it.each([
    ['500', status(500), 'back-off', 'fail-over'],
    ['502', status(502), 'back-off', 'fail-over'],
    ['503', status(503), 'back-off', 'fail-over'],
    ['504', status(504), 'back-off', 'fail-over'],
    ['529', status(529), 'back-off', 'fail-over'],
    ['408', status(408), 'back-off', 'fail-over'],
    ['409', status(409), 'back-off', 'fail-over'],
    ['425', status(425), 'back-off', 'fail-over'],
    ['429', status(429), 'back-off', 'fail-over'],
    ['501', status(501), 'fail', 'fail-over'],
    ['505', status(505), 'fail', 'fail-over'],
    ['401', status(401), 'refresh-credentials', 'refresh-credentials'],
    ['403', status(403), 'refresh-credentials', 'refresh-credentials'],
    ['402', status(402), 'fail', 'fail-over'],
    ['429 with a quota', status(429, { code: 'insufficient_quota' }), 'fail', 'fail-over'],
    ['404', status(404), 'fail', 'fail-over'],
    ['405', status(405), 'fail', 'fail-over'],
    ['308', status(308), 'fail', 'fail-over'],
    ['400', status(400), 'fail', 'fail'],
    ['422', status(422), 'fail', 'fail'],
    ['413', status(413), 'fail', 'fail'],
    [
      'a prompt over the context window',
      status(400, { code: 'context_length_exceeded' }),
      'fail',
      'fail',
    ],
    ['filtered content', status(400, { code: 'content_filter' }), 'fail', 'fail'],
    ['a broken connection', mapTransportError(new Error('reset')), 'back-off', 'fail-over'],
    ['an invalid address', misconfigured('no address'), 'fail', 'fail-over'],
    ['an invalid response', invalidResponse('no JSON'), 'back-off', 'fail-over'],
    ['an interrupted response', interruptedResponse('cut'), 'back-off', 'fail-over'],
    ['a timeout', timedOutResponse('late'), 'back-off', 'fail-over'],
    ['a missing credential', credentialUnavailable(new Error('vault')), 'fail', 'fail-over'],
    ['the other token limit name', renamedTokenLimit(), 'retry-immediately', 'retry-immediately'],
    ['a defect of this service', toUpstreamFailure(new RangeError('bug')), 'fail', 'fail'],
  ] as const)('%s', (...row) => {
    const [, failure, alone, withFallback] = row;
    const state = stateAfter(failure.retryMode);

    const decisions = [
      decideRetry(state, failure),
      decideRetry({ ...state, hasUntriedEndpoint: true, hasReadyEndpoint: true }, failure),
    ];

    expect(decisions.map(({ action }) => action)).toEqual([alone, withFallback]);
  });
});

describe('decideRetry', () => {
  const unavailable = status(503);
  const rateLimited = status(429);

  it('waits the back-off before a ready endpoint and withdraws from the budget', () => {
    expect(decideRetry(FIRST_FAILURE, unavailable)).toEqual({ action: 'back-off', delayMs: 250 });
  });

  it.each([
    ['the attempts are used up', { attempts: 3 }, 'max_attempts'],
    ['the back-off ends after the deadline', { backoffMs: 10_000 }, 'deadline'],
    ['the retry budget is empty', { hasRetryBudget: false }, 'retry_budget'],
    ['no endpoint can be called', { hasReadyEndpoint: false }, 'no_endpoint'],
    ['the second response is invalid', { invalidResponses: 2 }, 'not_retryable'],
  ])('fails where %s', (_name, state, reason) => {
    const decision = decideRetry({ ...FIRST_FAILURE, ...state }, unavailable);

    expect(decision).toEqual({ action: 'fail', reason });
  });

  it('fails over without budget and back-off, but not beyond the attempts', () => {
    const state = { ...FIRST_FAILURE, hasUntriedEndpoint: true, hasRetryBudget: false };

    expect(decideRetry(state, unavailable)).toEqual({ action: 'fail-over' });
    expect(decideRetry({ ...state, attempts: 3 }, unavailable).action).toBe('fail');
  });

  it.each([
    ['the time that the endpoint named, free of budget', COOLDOWN, false, true],
    ['a back-off, paid from the budget', { waitMs: 2_000, fromRetryAfter: false }, true, false],
  ])('waits for a cooldown: %s', (...row) => {
    const [, cooldown, spendsBudget, succeedsWithoutBudget] = row;
    const state = { ...FIRST_FAILURE, hasReadyEndpoint: false, cooldown };

    const decision = decideRetry(state, rateLimited);
    const withoutBudget = decideRetry({ ...state, hasRetryBudget: false }, rateLimited);

    expect(decision).toEqual({ action: 'await-cooldown', delayMs: 2_000, spendsBudget });
    expect(withoutBudget.action === 'await-cooldown').toBe(succeedsWithoutBudget);
  });

  it('does not wait for a cooldown that ends after the deadline', () => {
    const state = { ...FIRST_FAILURE, hasReadyEndpoint: false, cooldown: COOLDOWN };

    expect(decideRetry({ ...state, timeLeftMs: 2_000 }, rateLimited)).toEqual({
      action: 'fail',
      reason: 'deadline',
    });
  });

  it('fails background calls at a rate limit, and only there', () => {
    const state = { ...FIRST_FAILURE, isBackground: true };

    expect(decideRetry(state, rateLimited)).toEqual({ action: 'fail', reason: 'background' });
    expect(decideRetry(state, unavailable).action).toBe('back-off');
    expect(decideRetry({ ...state, hasUntriedEndpoint: true }, rateLimited).action).toBe(
      'fail-over',
    );
  });

  it('refreshes the credentials of an endpoint once', () => {
    const state = { ...FIRST_FAILURE, hasRefreshedCredentials: true, hasReadyEndpoint: false };

    expect(decideRetry(state, status(401))).toEqual({ action: 'fail', reason: 'no_endpoint' });
  });
});
