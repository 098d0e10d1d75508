import type { ErrorCode } from '../errors.ts';
import type { RetryMode } from './upstream-error.ts';

/** What a retry decision depends on, at the moment of a failure. Times in milliseconds. */
export interface RetryState {
  /** Attempts so far, the failed one included. */
  readonly attempts: number;
  readonly maxAttempts: number;
  /** Failures of mode `once` so far, this one included. */
  readonly invalidResponses: number;
  readonly isBackground: boolean;
  /** Whether this call had the credentials of the failed endpoint refreshed. */
  readonly hasRefreshedCredentials: boolean;
  /** Whether an endpoint is ready that this call has not tried. */
  readonly hasUntriedEndpoint: boolean;
  /** Whether any endpoint is ready. */
  readonly hasReadyEndpoint: boolean;
  /** Of the endpoints that are cooling down, the one that is usable first. */
  readonly cooldown: { readonly waitMs: number; readonly fromRetryAfter: boolean } | undefined;
  readonly backoffMs: number;
  readonly timeLeftMs: number;
  readonly hasRetryBudget: boolean;
}

export interface RetryFailure {
  readonly retryMode: RetryMode;
  readonly code: ErrorCode;
}

/** The next step of a call after a failed attempt. */
export type Decision =
  /** Same endpoint, at no cost: no attempt, no wait, no budget. */
  | { readonly action: 'retry-immediately' }
  /** Re-read the secrets, then retry immediately if they changed, else decide again. */
  | { readonly action: 'refresh-credentials' }
  /** An untried endpoint at once: it does not suffer from what the failed one suffers from. */
  | { readonly action: 'fail-over' }
  /** A ready endpoint after a wait, paid from the retry budget. */
  | { readonly action: 'back-off'; readonly delayMs: number }
  /** The endpoint whose cooldown ends first, when it ends. */
  | {
      readonly action: 'await-cooldown';
      readonly delayMs: number;
      readonly spendsBudget: boolean;
    }
  | { readonly action: 'fail'; readonly reason: FailReason };

export type FailReason =
  | 'not_retryable'
  | 'max_attempts'
  | 'deadline'
  | 'retry_budget'
  | 'background'
  | 'no_endpoint';

/** The retry policy. Pure: time, randomness and the retry budget are part of the state. */
export function decideRetry(state: RetryState, failure: RetryFailure): Decision {
  const { retryMode, code } = failure;
  if (retryMode === 'none') return fail('not_retryable');
  if (retryMode === 'immediate') return { action: 'retry-immediately' };
  if (retryMode === 'refresh-credentials' && !state.hasRefreshedCredentials) {
    return { action: 'refresh-credentials' };
  }
  if (state.invalidResponses > 1) return fail('not_retryable');
  if (state.attempts >= state.maxAttempts) return fail('max_attempts');
  if (state.hasUntriedEndpoint) return { action: 'fail-over' };
  // The batch repeats its items later; waits and the budget are for interactive calls.
  if (state.isBackground && code === 'upstream_rate_limited') return fail('background');
  return decideWait(state);
}

function decideWait(state: RetryState): Decision {
  const { cooldown, backoffMs, timeLeftMs, hasRetryBudget } = state;
  if (state.hasReadyEndpoint) {
    if (backoffMs >= timeLeftMs) return fail('deadline');
    return hasRetryBudget ? { action: 'back-off', delayMs: backoffMs } : fail('retry_budget');
  }
  if (cooldown === undefined) return fail('no_endpoint');
  if (cooldown.waitMs >= timeLeftMs) return fail('deadline');
  // The budget limits retries that may be futile; at the named time the endpoint expects this one.
  const spendsBudget = !cooldown.fromRetryAfter;
  if (spendsBudget && !hasRetryBudget) return fail('retry_budget');
  return { action: 'await-cooldown', delayMs: cooldown.waitMs, spendsBudget };
}

function fail(reason: FailReason): Decision {
  return { action: 'fail', reason };
}
