import type { ErrorCode } from '../errors.ts';
import {
  type Attempt,
  MAX_COOLDOWN_MS,
  type PooledEndpoint,
  startAttempt,
} from './endpoint-pool.ts';
import {
  backoffMs,
  chooseEndpoint,
  type CoolingEndpoint,
  cooldownWaitMs,
  type EndpointFailure,
  findSoonestAvailable,
  type ModelCallState,
  noEndpointAvailable,
  preferRetryable,
  takeRetrySnapshot,
  timeLeftMs,
  toClientError,
} from './model-call.ts';
import { type Decision, decideRetry } from './retry-decision.ts';
import type { UpstreamFailure } from './upstream-error.ts';
import { abortReason, delay, raceAbort } from '../resilience/abort.ts';
import { CallNotPermittedError } from '../resilience/policies.ts';
import { describeError } from '../telemetry/describe-error.ts';

/**
 * The only retry loop. It repeats `run` with a new attempt until it resolves or `decideRetry` ends
 * the call.
 *
 * @throws ServiceError for callers, or the reason of the signal
 */
export async function withRetries<T>(
  state: ModelCallState,
  run: (attempt: Attempt) => Promise<T>,
): Promise<T> {
  const { signal: callerSignal } = state.call;
  for (;;) {
    const endpoint = await selectEndpoint(state);
    let attempt: Attempt | undefined;
    try {
      return await endpoint.policies.execute((slot) => {
        attempt = startAttempt({ endpoint, slot, callerSignal });
        countAttempt(state, endpoint);
        return run(attempt);
      }, callerSignal);
    } catch (thrown) {
      if (attempt !== undefined) await handleFailure(state, { attempt, thrown });
      else if (!(thrown instanceof CallNotPermittedError)) throw thrown;
    }
  }
}

export interface FailedAttempt {
  readonly attempt: Attempt;
  readonly thrown: unknown;
}

/**
 * The error of a call whose response was partly delivered: it is not retried, because a retry would
 * deliver the beginning twice. After an abort it is the reason of the signal.
 */
export function failStartedStream(state: ModelCallState, failed: FailedAttempt): Error {
  if (state.call.signal.aborted) {
    logAttempt(state, { attempt: failed.attempt, outcome: 'aborted' });
    return abortReason(state.call.signal);
  }
  const failure = recordFailure(state, failed);
  logAttempt(state, { attempt: failed.attempt, outcome: failure.code, decision: 'fail' });
  return failCall(state, { endpoint: failed.attempt.endpoint, failure });
}

/** One debug line for each attempt, without content. */
export function logAttempt(
  { call, calls }: ModelCallState,
  { attempt, outcome, decision }: AttemptOutcome,
): void {
  call.telemetry.debug('model attempt', {
    endpoint: attempt.endpoint.config.name,
    attempt: calls,
    outcome,
    durationMs: Math.round(attempt.durationMs()),
    ...(decision === undefined ? {} : { decision }),
  });
}

export interface AttemptOutcome {
  readonly attempt: Attempt;
  readonly outcome: ErrorCode | 'ok' | 'aborted';
  /** What follows a failure. */
  readonly decision?: Decision['action'] | undefined;
}

/** An endpoint that is ready; waits for a short cooldown. */
async function selectEndpoint(state: ModelCallState): Promise<PooledEndpoint> {
  for (;;) {
    if (state.call.signal.aborted) throw abortReason(state.call.signal);
    const cooling = findSoonestAvailable(state);
    const endpoint = chooseEndpoint(state);
    if (endpoint !== undefined) return endpoint;
    await waitForCooldown(state, cooling);
  }
}

function countAttempt(state: ModelCallState, endpoint: PooledEndpoint): void {
  state.preferred = undefined;
  state.tried.add(endpoint);
  state.attempts += 1;
  state.calls += 1;
}

/**
 * Waits for a cooldown that ends within the longest back-off, so that the caller need not come
 * back. A longer one fails the call with Retry-After.
 */
async function waitForCooldown(
  state: ModelCallState,
  cooling: CoolingEndpoint | undefined,
): Promise<void> {
  const { context, call } = state;
  if (cooling === undefined) throw noEndpointAvailable(state);
  const delayMs = cooldownWaitMs(context, cooling.cooldown);
  const isTooLong =
    cooling.cooldown.until - context.clock.now() > context.settings.backoffMaxMs ||
    delayMs >= timeLeftMs(state);
  // Background calls that wait here would run before interactive ones when the cooldown ends.
  if (isTooLong || call.isBackground === true) throw noEndpointAvailable(state);
  await delay(delayMs, call.signal);
}

/** Returns when the next attempt may start, waits included; throws where the call fails. */
async function handleFailure(state: ModelCallState, failed: FailedAttempt): Promise<void> {
  const { endpoint } = failed.attempt;
  const failure = recordFailure(state, failed);
  const { decision, next } = await decideNext(state, { endpoint, failure });
  const { attempt } = failed;
  logAttempt(state, { attempt, outcome: failure.code, decision: decision.action });
  if (decision.action === 'retry-immediately') {
    state.preferred = endpoint;
    state.attempts -= 1;
    return;
  }
  if (failure.retryMode !== 'none') {
    state.reportableError = preferRetryable(failure, state.reportableError);
  }
  if (next === undefined) {
    throw failCall(state, { endpoint, failure: state.reportableError ?? failure });
  }
  const delayMs = 'delayMs' in decision ? decision.delayMs : 0;
  logRetry(state, { endpoint, failure, next, delayMs });
  if (delayMs > 0) await delay(delayMs, state.call.signal);
}

/** An operator must end these failures. */
const OPERATOR_ERRORS: ReadonlySet<ErrorCode> = new Set([
  'upstream_auth',
  'upstream_misconfigured',
  'upstream_quota',
]);

/** Closes the attempt with its failure. An abort by the caller is not a failure: it is rethrown. */
function recordFailure(state: ModelCallState, { attempt, thrown }: FailedAttempt): UpstreamFailure {
  const { signal, telemetry } = state.call;
  if (signal.aborted) {
    attempt.close();
    logAttempt(state, { attempt, outcome: 'aborted' });
    throw abortReason(signal);
  }
  const failure = attempt.fail(thrown);
  const { endpoint } = attempt;
  startCooldown(state, { endpoint, failure });
  if (OPERATOR_ERRORS.has(failure.code) && failure.retryMode !== 'immediate') {
    telemetry.error('model endpoint misconfigured', {
      endpoint: endpoint.config.name,
      code: failure.code,
      cause: describeError(failure.cause),
    });
  }
  return failure;
}

/** Stops calls to an endpoint after a rate limit, or for the time that it asked for. */
function startCooldown(state: ModelCallState, { endpoint, failure }: EndpointFailure): void {
  const { settings, clock } = state.context;
  const isRateLimit = failure.code === 'upstream_rate_limited';
  if (!isRateLimit && failure.waitMs === undefined) return;
  if (failure.isRequestSpecific) return;
  const fromRetryAfter = isRateLimit && failure.waitMs !== undefined;
  const waitMs = failure.waitMs ?? backoffMs(state);
  // A rate limit lasts as long as the server says; an outage may end sooner than it guesses.
  const maxMs = isRateLimit ? MAX_COOLDOWN_MS : settings.halfOpenAfterMs;
  const until = clock.now() + Math.min(waitMs, maxMs);
  endpoint.setCooldown({ until, code: failure.code, fromRetryAfter }, state.call);
}

interface NextStep {
  readonly decision: Decision;
  /** Undefined where the call fails, and for an immediate retry. */
  readonly next: PooledEndpoint | undefined;
}

async function decideNext(state: ModelCallState, failed: EndpointFailure): Promise<NextStep> {
  const { endpoint, failure } = failed;
  if (failure.retryMode === 'once') state.invalidResponses += 1;
  if (isEndpointExhausted(state, failed)) state.excluded.add(endpoint);
  const snapshot = takeRetrySnapshot(state, failed);
  const decision = decideRetry(snapshot.state, failure);
  switch (decision.action) {
    case 'refresh-credentials':
      state.refreshed.add(endpoint);
      if (await refreshCredentials(state, endpoint)) {
        return { decision: { action: 'retry-immediately' }, next: undefined };
      }
      return decideNext(state, failed);
    case 'fail-over':
      return { decision, next: snapshot.untried };
    case 'back-off':
      state.context.budget.withdraw();
      return { decision, next: snapshot.ready };
    case 'await-cooldown':
      if (decision.spendsBudget) state.context.budget.withdraw();
      return { decision, next: snapshot.cooling };
    default:
      return { decision, next: undefined };
  }
}

/** Whether the endpoint cannot serve this call any more. */
function isEndpointExhausted(
  { refreshed }: ModelCallState,
  { endpoint, failure }: EndpointFailure,
): boolean {
  if (failure.retryMode === 'refresh-credentials') return refreshed.has(endpoint);
  return failure.retryMode === 'failover';
}

async function refreshCredentials(
  { context, call }: ModelCallState,
  endpoint: PooledEndpoint,
): Promise<boolean> {
  if (context.onAuthFailure === undefined) return false;
  try {
    return await raceAbort(context.onAuthFailure(endpoint.config), call.signal);
  } catch {
    if (call.signal.aborted) throw abortReason(call.signal);
    // Secrets that cannot be read count as unchanged.
    return false;
  }
}

interface PlannedRetry extends EndpointFailure {
  readonly next: PooledEndpoint;
  readonly delayMs: number;
}

function logRetry({ call, calls }: ModelCallState, retry: PlannedRetry): void {
  const { endpoint, next, failure, delayMs } = retry;
  const message = next === endpoint ? 'model call retried' : 'model call failed over';
  call.telemetry.info(message, {
    endpoint: endpoint.config.name,
    next: next.config.name,
    code: failure.code,
    attempts: calls,
    delayMs: Math.round(delayMs),
    cause: describeError(failure.cause),
  });
}

function failCall(state: ModelCallState, { endpoint, failure }: EndpointFailure): Error {
  const { call, calls } = state;
  const fields = { endpoint: endpoint.config.name, code: failure.code, attempts: calls };
  if (failure.retryMode === 'none') call.telemetry.info('model request rejected', fields);
  else {
    const cause = describeError(failure.cause);
    call.telemetry.warn('model call failed', { ...fields, cause });
  }
  return toClientError(state, failure);
}
