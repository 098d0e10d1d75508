import { ServiceError, type ErrorCode } from '../errors.ts';
import { MAX_COOL_DOWN_MS } from './cool-down.ts';
import type { EndpointGate } from './endpoint-pool.ts';
import { usableGates, type Journey } from './journey.ts';
import type { UpstreamFailure } from './upstream-failure.ts';

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
