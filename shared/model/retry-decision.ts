import { type ErrorCode, isRetryable, ServiceError } from '../errors.ts';
import type { Attempt } from './attempt.ts';
import {
  type EndpointGate,
  findSoonestRested,
  fitsDeadline,
  type Journey,
  MAX_COOL_DOWN_MS,
  usableGates,
} from './endpoint-pool.ts';
import type { UpstreamFailure } from './upstream-error.ts';
import { reasonOf, unlessAborted, waitFor } from '../resilience/abort.ts';
import { backoffDelayMs, stretchedDelayMs } from '../resilience/retry-policy.ts';
import { describeCause } from '../telemetry/describe-error.ts';

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
export async function recover(journey: Journey, failed: FailedAttempt): Promise<void> {
  const { call } = journey;
  const { gate } = failed.attempt;
  const failure = judge(journey, failed);
  if (failure.remedy === 'never') throw giveUp(journey, { gate, failure });
  if (await isPardoned(journey, { gate, failure })) {
    // A second chance at once costs neither an attempt nor a wait, and there is only one.
    journey.preferred = gate;
    journey.attempts -= 1;
    return;
  }
  journey.worthTelling = moreHelpful(failure, journey.worthTelling);
  const delayMs = planNext(journey, { gate, failure });
  if (delayMs === undefined) throw giveUp(journey, { gate, failure: journey.worthTelling });
  if (delayMs > 0) await waitFor(delayMs, call.signal);
}

/** The end of an answer that was partly shown: no other attempt can take that back. */
export function endShownAnswer(journey: Journey, failed: FailedAttempt): Error {
  return giveUp(journey, { gate: failed.attempt.gate, failure: judge(journey, failed) });
}

interface JudgedFailure {
  readonly gate: EndpointGate;
  readonly failure: UpstreamFailure;
}

/** Ends the attempt for its failure; an abort by the caller is none and is thrown as it is. */
function judge(journey: Journey, { attempt, thrown }: FailedAttempt): UpstreamFailure {
  const { signal, telemetry } = journey.call;
  if (signal.aborted) {
    attempt.close();
    throw reasonOf(signal);
  }
  const failure = attempt.fail(thrown);
  const { gate } = attempt;
  letRest(journey, { gate, failure });
  const fields = { endpoint: gate.endpoint.name, code: failure.code };
  if (NEEDS_OPERATOR.has(failure.code) && failure.remedy !== 'again') {
    telemetry.error('model endpoint needs an operator', {
      ...fields,
      cause: describeCause(failure.cause),
    });
  }
  return failure;
}

/** After a rate limit, or where the upstream named a time, nobody asks this endpoint for a while. */
function letRest({ context, call, attempts }: Journey, { gate, failure }: JudgedFailure): void {
  const { settings, random, clock } = context;
  const isLimited = failure.code === 'upstream_rate_limited';
  if (!isLimited && failure.waitMs === undefined) return;
  const isNamed = isLimited && failure.waitMs !== undefined;
  const askedMs = failure.waitMs ?? backoffMs(attempts, { settings, random });
  // A limit lasts as long as it is said to; an outage may end sooner than a server guesses.
  const longest = isLimited ? MAX_COOL_DOWN_MS : settings.halfOpenAfterMs;
  const until = clock.now() + Math.min(askedMs, longest);
  gate.rest({ until, code: failure.code, isNamed }, call);
}

/** Whether the endpoint is asked again at once: the reason for its refusal is out of the way. */
async function isPardoned(journey: Journey, judged: JudgedFailure): Promise<boolean> {
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

async function hasNewKey({ context, call }: Journey, gate: EndpointGate): Promise<boolean> {
  if (context.onAuthFailure === undefined) return false;
  try {
    return await unlessAborted(context.onAuthFailure(gate.endpoint), call.signal);
  } catch {
    if (call.signal.aborted) throw reasonOf(call.signal);
    // Secrets that cannot be re-read are the same as secrets that have not changed.
    return false;
  }
}

/** How long to wait for the next attempt, or undefined where there is none. */
function planNext(journey: Journey, { gate, failure }: JudgedFailure): number | undefined {
  const { context, call, tried, attempts } = journey;
  const { settings, budget, clock, random } = context;
  if (failure.remedy === 'once') journey.unreadableAnswers += 1;
  if (journey.unreadableAnswers > 1 || attempts >= settings.maxAttempts) return undefined;
  const resting = findSoonestRested(journey);
  const ready = usableGates(journey).filter((candidate) => candidate.isReady(call));
  // Another endpoint is not burdened by what this one suffers from: no wait, no budget.
  const fresh = ready.find((candidate) => !tried.has(candidate));
  if (fresh) return tell(journey, { gate, failure, next: fresh, delayMs: 0 });
  // Background work comes back at its own pace; the waits and the budget are for people.
  if (call.isBackground === true && failure.code === 'upstream_rate_limited') return undefined;
  const [again] = ready;
  if (again) {
    const delayMs = backoffMs(attempts, { settings, random });
    if (!fitsDeadline(journey, delayMs) || !budget.withdraw()) return undefined;
    return tell(journey, { gate, failure, next: again, delayMs });
  }
  if (resting === undefined) return undefined;
  const { coolDown } = resting;
  const delayMs = stretchedDelayMs(Math.max(0, coolDown.until - clock.now()), random);
  // The budget bounds retries that are guesses; at a named time the upstream expects this one.
  if (!fitsDeadline(journey, delayMs) || !(coolDown.isNamed || budget.withdraw())) return undefined;
  return tell(journey, { gate, failure, next: resting.gate, delayMs });
}

interface PlannedStep extends JudgedFailure {
  readonly next: EndpointGate;
  readonly delayMs: number;
}

function tell({ call, attempts }: Journey, step: PlannedStep): number {
  const { gate, next, failure, delayMs } = step;
  const message = next === gate ? 'model call retried' : 'model call failed over';
  call.telemetry.info(message, {
    endpoint: gate.endpoint.name,
    next: next.endpoint.name,
    code: failure.code,
    attempts,
    delayMs: Math.round(delayMs),
    cause: describeCause(failure.cause),
  });
  return delayMs;
}

function giveUp(journey: Journey, { gate, failure }: JudgedFailure): Error {
  const { call, attempts } = journey;
  const fields = { endpoint: gate.endpoint.name, code: failure.code, attempts };
  if (failure.remedy === 'never') call.telemetry.info('model call refused', fields);
  else {
    const cause = describeCause(failure.cause);
    call.telemetry.warn('model call given up', { ...fields, cause });
  }
  return toCallerError(journey, failure);
}

/** Of two failures the one after which the caller may try again; of equal ones the newer. */
function moreHelpful(newer: UpstreamFailure, older: UpstreamFailure | undefined): UpstreamFailure {
  if (older === undefined) return newer;
  return isRetryable(older.code) && !isRetryable(newer.code) ? older : newer;
}

interface BackoffParts {
  readonly settings: Journey['context']['settings'];
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
export function toCallerError(journey: Journey, failure: UpstreamFailure): ServiceError {
  return new ServiceError(failure.code, failure.message, {
    cause: failure.cause,
    retryAfterSeconds: PASSING.has(failure.code)
      ? toRetryAfterSeconds(bestWaitMs(journey, failure))
      : failure.retryAfterSeconds,
  });
}

/** What the caller sees where no endpoint may even be asked. */
export function explainBlocked(journey: Journey): ServiceError {
  if (journey.worthTelling) return toCallerError(journey, journey.worthTelling);
  const gates = usableGates(journey);
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
function bestWaitMs(journey: Journey, failure: UpstreamFailure): number {
  const gates = usableGates(journey);
  if (gates.length <= 1 && failure.waitMs !== undefined) return failure.waitMs;
  const soonest = Math.min(...gates.map((gate) => blockedMs(journey, gate)));
  return Number.isFinite(soonest) && soonest > 0 ? soonest : journey.context.settings.backoffMaxMs;
}

function blockedMs({ context, call }: Journey, gate: EndpointGate): number {
  const coolingMs = (gate.coolDown(call)?.until ?? 0) - context.clock.now();
  return Math.max(0, coolingMs, gate.breaker.retryInMs());
}

function toRetryAfterSeconds(waitMs: number): number {
  return Math.max(1, Math.ceil(Math.min(waitMs, MAX_COOL_DOWN_MS) / 1000));
}
