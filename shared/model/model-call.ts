import type { Clock } from '../clock.ts';
import { type ErrorCode, isRetryable, ServiceError } from '../errors.ts';
import { type Cooldown, MAX_COOLDOWN_MS, type PooledEndpoint } from './endpoint-pool.ts';
import type { ModelCall, ModelEndpoint } from './model.ts';
import type { RetryState } from './retry-decision.ts';
import type { UpstreamFailure } from './upstream-error.ts';
import {
  backoffDelayMs,
  type ResilienceSettings,
  type RetryBudget,
  withJitter,
} from '../resilience/retry-policy.ts';

/** What all calls of a process share. */
export interface ModelCallContext {
  /** In the order of preference. */
  readonly endpoints: readonly PooledEndpoint[];
  readonly budget: RetryBudget;
  readonly settings: ResilienceSettings;
  readonly clock: Clock;
  readonly random: () => number;
  readonly onAuthFailure?: ((endpoint: ModelEndpoint) => Promise<boolean>) | undefined;
}

/** The progress of one call through its attempts and endpoints. */
export interface ModelCallState {
  readonly context: ModelCallContext;
  readonly call: ModelCall;
  readonly tried: Set<PooledEndpoint>;
  /** Endpoints that cannot serve this call any more. */
  readonly excluded: Set<PooledEndpoint>;
  /** Endpoints whose credentials this call had refreshed. */
  readonly refreshed: Set<PooledEndpoint>;
  /** The endpoint of an immediate retry. */
  preferred: PooledEndpoint | undefined;
  /** Attempts that count towards the limit: immediate retries do not. */
  attempts: number;
  /** Requests that were sent. */
  calls: number;
  invalidResponses: number;
  /** Of the failures so far, the one that the caller gets if the call fails. */
  reportableError: UpstreamFailure | undefined;
}

export function startModelCall(context: ModelCallContext, call: ModelCall): ModelCallState {
  context.budget.deposit();
  return {
    context,
    call,
    tried: new Set(),
    excluded: new Set(),
    refreshed: new Set(),
    preferred: undefined,
    attempts: 0,
    calls: 0,
    invalidResponses: 0,
    reportableError: undefined,
  };
}

/** The endpoint of an immediate retry, else the first untried one, else the first ready one. */
export function chooseEndpoint(state: ModelCallState): PooledEndpoint | undefined {
  if (state.preferred?.isReady(state.call)) return state.preferred;
  const ready = readyEndpoints(state);
  const untried = ready.find((endpoint) => !state.tried.has(endpoint));
  return untried ?? ready[0] ?? findLimitedEndpoint(state);
}

/**
 * For the first attempt of a background call, an endpoint at whose rate limit other background calls
 * are. Such a limit may concern one item of one batch, so it orders endpoints but blocks none; each
 * batch paces its own calls.
 */
function findLimitedEndpoint(state: ModelCallState): PooledEndpoint | undefined {
  if (state.call.isBackground !== true || state.tried.size > 0) return undefined;
  return usableEndpoints(state).find((endpoint) => endpoint.isReady({ isBackground: false }));
}

/** An endpoint that could be called but for its cooldown. */
export interface CoolingEndpoint {
  readonly endpoint: PooledEndpoint;
  readonly cooldown: Cooldown;
}

/**
 * The endpoint whose cooldown ends first. Call this before `chooseEndpoint` and `readyEndpoints`: a
 * cooldown that expires between the two calls would otherwise be missed by both.
 */
export function findSoonestAvailable(state: ModelCallState): CoolingEndpoint | undefined {
  return usableEndpoints(state)
    .filter((endpoint) => endpoint.policies.isCallPermitted())
    .map((endpoint) => ({ endpoint, cooldown: endpoint.cooldown(state.call) }))
    .filter((one): one is CoolingEndpoint => one.cooldown !== undefined)
    .sort((left, right) => left.cooldown.until - right.cooldown.until)[0];
}

function usableEndpoints({ context, excluded }: ModelCallState): PooledEndpoint[] {
  return context.endpoints.filter((endpoint) => !excluded.has(endpoint));
}

function readyEndpoints(state: ModelCallState): PooledEndpoint[] {
  return usableEndpoints(state).filter((endpoint) => endpoint.isReady(state.call));
}

export interface EndpointFailure {
  readonly endpoint: PooledEndpoint;
  readonly failure: UpstreamFailure;
}

/** The input of a retry decision, and the endpoints that its outcomes stand for. */
export interface RetrySnapshot {
  readonly state: RetryState;
  readonly untried: PooledEndpoint | undefined;
  readonly ready: PooledEndpoint | undefined;
  readonly cooling: PooledEndpoint | undefined;
}

export function takeRetrySnapshot(
  state: ModelCallState,
  { endpoint: failed, failure }: EndpointFailure,
): RetrySnapshot {
  const { context, call } = state;
  const cooling = findSoonestAvailable(state);
  const endpoints = readyEndpoints(state);
  const untried = endpoints.find((endpoint) => !state.tried.has(endpoint));
  return {
    untried,
    ready: endpoints[0],
    cooling: cooling?.endpoint,
    state: {
      attempts: state.attempts,
      maxAttempts: context.settings.maxAttempts,
      invalidResponses: state.invalidResponses,
      isBackground: call.isBackground === true,
      hasRefreshedCredentials: state.refreshed.has(failed),
      hasUntriedEndpoint: untried !== undefined,
      hasReadyEndpoint: endpoints.length > 0,
      cooldown: cooling && {
        waitMs: cooldownWaitMs(context, cooling.cooldown),
        fromRetryAfter: cooling.cooldown.fromRetryAfter,
      },
      backoffMs: Math.max(backoffMs(state), requestWaitMs(context, failure)),
      timeLeftMs: timeLeftMs(state),
      hasRetryBudget: context.budget.hasBalance(),
    },
  };
}

/** The wait for this request only, jitter included: it is not a cooldown of the endpoint. */
function requestWaitMs(
  { random }: ModelCallContext,
  { isRequestSpecific, waitMs = 0 }: UpstreamFailure,
): number {
  return isRequestSpecific && waitMs > 0 ? withJitter(waitMs, random) : 0;
}

/** Back-off before the next attempt at an endpoint that named no time. */
export function backoffMs({ attempts, context }: ModelCallState): number {
  const { settings, random } = context;
  return backoffDelayMs(Math.max(0, attempts - 1), {
    initialMs: settings.backoffInitialMs,
    maxMs: settings.backoffMaxMs,
    random,
  });
}

/** Time until the deadline of the caller; the timeout of one attempt where there is none. */
export function timeLeftMs({ context, call }: ModelCallState): number {
  return call.deadlineAt === undefined
    ? context.settings.attemptTimeoutMs
    : call.deadlineAt - context.clock.now();
}

/** How long to wait for a cooldown to end, jitter included. */
export function cooldownWaitMs(
  { clock, random }: Pick<ModelCallContext, 'clock' | 'random'>,
  { until }: Cooldown,
): number {
  return withJitter(Math.max(0, until - clock.now()), random);
}

/** Of two failures the retryable one, so that the caller tries again; otherwise the newer one. */
export function preferRetryable(
  newer: UpstreamFailure,
  older: UpstreamFailure | undefined,
): UpstreamFailure {
  if (older === undefined) return newer;
  return isRetryable(older.code) && !isRetryable(newer.code) ? older : newer;
}

/** The same request succeeds later without an operator, so the error names a time. */
const TRANSIENT: ReadonlySet<ErrorCode> = new Set([
  'upstream_rate_limited',
  'upstream_unavailable',
  'upstream_timeout',
]);

/** The error that the caller gets for a failure that is not retried. */
export function toClientError(state: ModelCallState, failure: UpstreamFailure): ServiceError {
  return new ServiceError(failure.code, failure.message, {
    cause: failure.cause,
    param: failure.param,
    retryAfterSeconds: TRANSIENT.has(failure.code)
      ? toRetryAfterSeconds(bestWaitMs(state, failure))
      : failure.retryAfterSeconds,
  });
}

/** The error that the caller gets where no endpoint can be called now. */
export function noEndpointAvailable(state: ModelCallState): ServiceError {
  if (state.reportableError) return toClientError(state, state.reportableError);
  const endpoints = usableEndpoints(state);
  const soonest = endpoints.sort(
    (left, right) => blockedMs(state, left) - blockedMs(state, right),
  )[0];
  if (soonest === undefined) {
    return new ServiceError('upstream_misconfigured', 'No model endpoint is set up');
  }
  const retryAfterSeconds = toRetryAfterSeconds(blockedMs(state, soonest));
  const cooldown = soonest.cooldown(state.call);
  if (cooldown?.code === 'upstream_rate_limited') {
    const message = 'The model is at its rate limit';
    return new ServiceError('upstream_rate_limited', message, { retryAfterSeconds });
  }
  if (cooldown === undefined && soonest.policies.isCallPermitted()) {
    const message = 'Too many model calls are under way';
    return new ServiceError('overloaded', message, { retryAfterSeconds });
  }
  const message = 'The model is not available';
  return new ServiceError('upstream_unavailable', message, { retryAfterSeconds });
}

/** The wait that a single endpoint requested; with several endpoints, until the first is usable. */
function bestWaitMs(state: ModelCallState, failure: UpstreamFailure): number {
  const endpoints = usableEndpoints(state);
  if (endpoints.length <= 1 && failure.waitMs !== undefined) return failure.waitMs;
  const soonest = Math.min(...endpoints.map((endpoint) => blockedMs(state, endpoint)));
  return Number.isFinite(soonest) && soonest > 0 ? soonest : state.context.settings.backoffMaxMs;
}

function blockedMs({ context, call }: ModelCallState, endpoint: PooledEndpoint): number {
  const coolingMs = (endpoint.cooldown(call)?.until ?? 0) - context.clock.now();
  return Math.max(0, coolingMs, endpoint.policies.retryInMs());
}

function toRetryAfterSeconds(waitMs: number): number {
  return Math.max(1, Math.ceil(Math.min(waitMs, MAX_COOLDOWN_MS) / 1000));
}
