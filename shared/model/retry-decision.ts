import { type ErrorCode, isRetryable, ServiceError } from '../errors.ts';
import type { Attempt } from './attempt.ts';
import {
  type PooledEndpoint,
  findSoonestAvailable,
  fitsDeadline,
  type ModelCallState,
  MAX_COOLDOWN_MS,
  usableEndpoints,
} from './endpoint-pool.ts';
import type { UpstreamFailure } from './upstream-error.ts';
import { abortReason, raceAbort, delay } from '../resilience/abort.ts';
import { backoffDelayMs, withJitter } from '../resilience/retry-policy.ts';
import { describeError } from '../telemetry/describe-error.ts';

/** An attempt and what it threw. */
export interface FailedAttempt {
  readonly attempt: Attempt;
  readonly thrown: unknown;
}

/** Nobody but an operator can end these. */
const NEEDS_OPERATOR: ReadonlySet<ErrorCode> = new Set([
  'upstream_auth',
  'upstream_misconfigured',
  'upstream_quota',
]);

/** Returns when another attempt makes sense, waits included; throws what the caller may see. */
export async function recoverFromFailure(
  journey: ModelCallState,
  failed: FailedAttempt,
): Promise<void> {
  const { call } = journey;
  const { gate } = failed.attempt;
  const failure = classifyFailure(journey, failed);
  if (failure.remedy === 'never') throw failCall(journey, { gate, failure });
  if (await retriesImmediately(journey, { gate, failure })) {
    // A second chance at once costs neither an attempt nor a wait, and there is only one.
    journey.preferred = gate;
    journey.attempts -= 1;
    return;
  }
  journey.worthTelling = preferRetryable(failure, journey.worthTelling);
  const delayMs = planNextAttempt(journey, { gate, failure });
  if (delayMs === undefined) throw failCall(journey, { gate, failure: journey.worthTelling });
  if (delayMs > 0) await delay(delayMs, call.signal);
}

/** The end of an answer that was partly shown: no other attempt can take that back. */
export function failStartedStream(journey: ModelCallState, failed: FailedAttempt): Error {
  return failCall(journey, {
    gate: failed.attempt.gate,
    failure: classifyFailure(journey, failed),
  });
}

interface ClassifiedFailure {
  readonly gate: PooledEndpoint;
  readonly failure: UpstreamFailure;
}

/** Ends the attempt for its failure; an abort by the caller is none and is thrown as it is. */
function classifyFailure(
  journey: ModelCallState,
  { attempt, thrown }: FailedAttempt,
): UpstreamFailure {
  const { signal, telemetry } = journey.call;
  if (signal.aborted) {
    attempt.close();
    throw abortReason(signal);
  }
  const failure = attempt.fail(thrown);
  const { gate } = attempt;
  setCooldown(journey, { gate, failure });
  const fields = { endpoint: gate.endpoint.name, code: failure.code };
  if (NEEDS_OPERATOR.has(failure.code) && failure.remedy !== 'again') {
    telemetry.error('model endpoint needs an operator', {
      ...fields,
      cause: describeError(failure.cause),
    });
  }
  return failure;
}

/** After a rate limit, or where the upstream named a time, nobody asks this endpoint for a while. */
function setCooldown(
  { context, call, attempts }: ModelCallState,
  { gate, failure }: ClassifiedFailure,
): void {
  const { settings, random, clock } = context;
  const isLimited = failure.code === 'upstream_rate_limited';
  if (!isLimited && failure.waitMs === undefined) return;
  const isNamed = isLimited && failure.waitMs !== undefined;
  const askedMs = failure.waitMs ?? backoffMs(attempts, { settings, random });
  // A limit lasts as long as it is said to; an outage may end sooner than a server guesses.
  const longest = isLimited ? MAX_COOLDOWN_MS : settings.halfOpenAfterMs;
  const until = clock.now() + Math.min(askedMs, longest);
  gate.rest({ until, code: failure.code, isNamed }, call);
}

/** Whether the endpoint is asked again at once: the reason for its refusal is out of the way. */
async function retriesImmediately(
  journey: ModelCallState,
  judged: ClassifiedFailure,
): Promise<boolean> {
  const { gate, failure } = judged;
  // The adapter asks for this only when it will send something else, so it cannot go on for ever.
  if (failure.remedy === 'again') return true;
  if (failure.remedy === 'new-key' && !journey.pardoned.has(gate)) {
    journey.pardoned.add(gate);
    if (await hasNewKey(journey, gate)) return true;
  }
  if (failure.remedy === 'new-key' || failure.remedy === 'elsewhere') journey.excluded.add(gate);
  return false;
}

async function hasNewKey(
  { context, call }: ModelCallState,
  gate: PooledEndpoint,
): Promise<boolean> {
  if (context.onAuthFailure === undefined) return false;
  try {
    return await raceAbort(context.onAuthFailure(gate.endpoint), call.signal);
  } catch {
    if (call.signal.aborted) throw abortReason(call.signal);
    // Secrets that cannot be re-read are the same as secrets that have not changed.
    return false;
  }
}

/** How long to wait for the next attempt, or undefined where there is none. */
function planNextAttempt(
  journey: ModelCallState,
  { gate, failure }: ClassifiedFailure,
): number | undefined {
  const { context, call, tried, attempts } = journey;
  const { settings, budget, clock, random } = context;
  if (failure.remedy === 'once') journey.unreadableAnswers += 1;
  if (journey.unreadableAnswers > 1 || attempts >= settings.maxAttempts) return undefined;
  const resting = findSoonestAvailable(journey);
  const ready = usableEndpoints(journey).filter((candidate) => candidate.isReady(call));
  // Another endpoint is not burdened by what this one suffers from: no wait, no budget.
  const fresh = ready.find((candidate) => !tried.has(candidate));
  if (fresh) return logRetry(journey, { gate, failure, next: fresh, delayMs: 0 });
  // Background work comes back at its own pace; the waits and the budget are for people.
  if (call.isBackground === true && failure.code === 'upstream_rate_limited') return undefined;
  const [again] = ready;
  if (again) {
    const delayMs = backoffMs(attempts, { settings, random });
    if (!fitsDeadline(journey, delayMs) || !budget.withdraw()) return undefined;
    return logRetry(journey, { gate, failure, next: again, delayMs });
  }
  if (resting === undefined) return undefined;
  const { coolDown } = resting;
  const delayMs = withJitter(Math.max(0, coolDown.until - clock.now()), random);
  // The budget bounds retries that are guesses; at a named time the upstream expects this one.
  if (!fitsDeadline(journey, delayMs) || !(coolDown.isNamed || budget.withdraw())) return undefined;
  return logRetry(journey, { gate, failure, next: resting.gate, delayMs });
}

interface PlannedAttempt extends ClassifiedFailure {
  readonly next: PooledEndpoint;
  readonly delayMs: number;
}

function logRetry({ call, attempts }: ModelCallState, step: PlannedAttempt): number {
  const { gate, next, failure, delayMs } = step;
  const message = next === gate ? 'model call retried' : 'model call failed over';
  call.telemetry.info(message, {
    endpoint: gate.endpoint.name,
    next: next.endpoint.name,
    code: failure.code,
    attempts,
    delayMs: Math.round(delayMs),
    cause: describeError(failure.cause),
  });
  return delayMs;
}

function failCall(journey: ModelCallState, { gate, failure }: ClassifiedFailure): Error {
  const { call, attempts } = journey;
  const fields = { endpoint: gate.endpoint.name, code: failure.code, attempts };
  if (failure.remedy === 'never') call.telemetry.info('model call refused', fields);
  else {
    const cause = describeError(failure.cause);
    call.telemetry.warn('model call given up', { ...fields, cause });
  }
  return toClientError(journey, failure);
}

/** Of two failures the one after which the caller may try again; of equal ones the newer. */
function preferRetryable(
  newer: UpstreamFailure,
  older: UpstreamFailure | undefined,
): UpstreamFailure {
  if (older === undefined) return newer;
  return isRetryable(older.code) && !isRetryable(newer.code) ? older : newer;
}

interface BackoffParts {
  readonly settings: ModelCallState['context']['settings'];
  readonly random: () => number;
}

function backoffMs(attempts: number, { settings, random }: BackoffParts): number {
  return backoffDelayMs(Math.max(0, attempts - 1), {
    initialMs: settings.backoffInitialMs,
    maxMs: settings.backoffMaxMs,
    random,
  });
}

/** After these the same request succeeds later without anybody's doing, so the caller is told when. */
const PASSING: ReadonlySet<ErrorCode> = new Set([
  'upstream_rate_limited',
  'upstream_unavailable',
  'upstream_timeout',
]);

/** What the caller sees of a failure after which nothing more is tried. */
export function toClientError(journey: ModelCallState, failure: UpstreamFailure): ServiceError {
  return new ServiceError(failure.code, failure.message, {
    cause: failure.cause,
    retryAfterSeconds: PASSING.has(failure.code)
      ? toRetryAfterSeconds(bestWaitMs(journey, failure))
      : failure.retryAfterSeconds,
  });
}

/** What the caller sees where no endpoint may even be asked. */
export function noEndpointAvailable(journey: ModelCallState): ServiceError {
  if (journey.worthTelling) return toClientError(journey, journey.worthTelling);
  const gates = usableEndpoints(journey);
  const soonest = gates.sort(
    (left, right) => blockedMs(journey, left) - blockedMs(journey, right),
  )[0];
  if (soonest === undefined) {
    return new ServiceError('upstream_misconfigured', 'No model endpoint is set up');
  }
  const retryAfterSeconds = toRetryAfterSeconds(blockedMs(journey, soonest));
  if (soonest.coolDown(journey.call)?.code === 'upstream_rate_limited') {
    const message = 'The model is at its rate limit';
    return new ServiceError('upstream_rate_limited', message, { retryAfterSeconds });
  }
  if (soonest.coolDown(journey.call) === undefined && soonest.breaker.mayEnter()) {
    const message = 'Too many model calls are under way';
    return new ServiceError('overloaded', message, { retryAfterSeconds });
  }
  const message = 'The model is not available';
  return new ServiceError('upstream_unavailable', message, { retryAfterSeconds });
}

/** The upstream's own word where there is one endpoint; with several, when the first one is back. */
function bestWaitMs(journey: ModelCallState, failure: UpstreamFailure): number {
  const gates = usableEndpoints(journey);
  if (gates.length <= 1 && failure.waitMs !== undefined) return failure.waitMs;
  const soonest = Math.min(...gates.map((gate) => blockedMs(journey, gate)));
  return Number.isFinite(soonest) && soonest > 0 ? soonest : journey.context.settings.backoffMaxMs;
}

function blockedMs({ context, call }: ModelCallState, gate: PooledEndpoint): number {
  const coolingMs = (gate.coolDown(call)?.until ?? 0) - context.clock.now();
  return Math.max(0, coolingMs, gate.breaker.retryInMs());
}

function toRetryAfterSeconds(waitMs: number): number {
  return Math.max(1, Math.ceil(Math.min(waitMs, MAX_COOLDOWN_MS) / 1000));
}
