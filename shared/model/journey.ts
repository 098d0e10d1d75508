import type { Clock } from '../clock.ts';
import type { ResilienceSettings } from '../resilience/retry-policy.ts';
import type { RetryBudget } from '../resilience/retry-budget.ts';
import type { ModelEndpoint } from './endpoint.ts';
import type { CoolDown } from './cool-down.ts';
import type { EndpointGate } from './endpoint-pool.ts';
import type { ModelCall } from './model.ts';
import type { UpstreamFailure } from './upstream-failure.ts';

/** What all calls of a process share. */
export interface JourneyContext {
  /** In the order of preference. */
  readonly gates: readonly EndpointGate[];
  readonly budget: RetryBudget;
  readonly settings: ResilienceSettings;
  readonly clock: Clock;
  readonly random: () => number;
  readonly onAuthFailure?: ((endpoint: ModelEndpoint) => Promise<boolean>) | undefined;
}

/** One call of the product on its way through attempts and endpoints. */
export interface Journey {
  readonly context: JourneyContext;
  readonly call: ModelCall;
  /** Endpoints that were asked. */
  readonly tried: Set<EndpointGate>;
  /** Endpoints that will not help this call any more. */
  readonly excluded: Set<EndpointGate>;
  /** Endpoints that were given a second chance at once: new credentials, another spelling. */
  readonly pardoned: Set<EndpointGate>;
  /** The endpoint that a second chance is for. */
  preferred: EndpointGate | undefined;
  attempts: number;
  unreadableAnswers: number;
  /** Of the failures so far the one to tell if nothing helps. */
  worthTelling: UpstreamFailure | undefined;
}

export function startJourney(context: JourneyContext, call: ModelCall): Journey {
  return {
    context,
    call,
    tried: new Set(),
    excluded: new Set(),
    pardoned: new Set(),
    preferred: undefined,
    attempts: 0,
    unreadableAnswers: 0,
    worthTelling: undefined,
  };
}

export function usableGates({ context, excluded }: Journey): EndpointGate[] {
  return context.gates.filter((gate) => !excluded.has(gate));
}

/** The endpoint to ask now: a pardoned one, else the first that was not asked, else the first. */
export function chooseGate(journey: Journey): EndpointGate | undefined {
  if (journey.preferred?.isReady(journey.call)) return journey.preferred;
  const ready = usableGates(journey).filter((gate) => gate.isReady(journey.call));
  return ready.find((gate) => !journey.tried.has(gate)) ?? ready[0];
}

/** An endpoint that only rests, and its rest as it was when somebody looked. */
export interface RestingGate {
  readonly gate: EndpointGate;
  readonly coolDown: CoolDown;
}

/**
 * Of the endpoints that only rest, the one that is back first. To be asked before it is asked which
 * endpoints are ready: one whose rest ends in between would else be neither.
 */
export function findSoonestRested(journey: Journey): RestingGate | undefined {
  return usableGates(journey)
    .filter((gate) => gate.breaker.mayEnter())
    .map((gate) => ({ gate, coolDown: gate.coolDown(journey.call) }))
    .filter((one): one is RestingGate => one.coolDown !== undefined)
    .sort((left, right) => left.coolDown.until - right.coolDown.until)[0];
}

/** Whether a wait leaves the caller any time; without a deadline, the time of one attempt. */
export function fitsDeadline({ context, call }: Journey, waitMs: number): boolean {
  const left =
    call.deadlineAt === undefined
      ? context.settings.attemptTimeoutMs
      : call.deadlineAt - context.clock.now();
  return waitMs < left;
}
