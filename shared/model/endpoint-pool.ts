import type { Clock } from '../clock.ts';
import type { ErrorCode } from '../errors.ts';
import type { ModelEndpoint } from './endpoint.ts';
import type { ModelCall } from './model.ts';
import type { EndpointClient } from './openai/chat-completions-client.ts';
import type { UpstreamFailure } from './upstream-error.ts';
import { type Bulkhead, createBulkhead } from '../resilience/bulkhead.ts';
import {
  type CircuitBreaker,
  type CircuitState,
  createCircuitBreaker,
} from '../resilience/circuit-breaker.ts';
import type { ResilienceSettings, RetryBudget } from '../resilience/retry-policy.ts';
import type { Telemetry } from '../telemetry/telemetry.ts';

/** What readiness shows of an endpoint, known from real calls only. Times since the epoch. */
export interface EndpointState {
  readonly name: string;
  readonly circuit: CircuitState;
  readonly coolingDownUntil?: number;
  readonly lastSuccessAt?: number;
  readonly lastFailureAt?: number;
  readonly lastFailureCode?: ErrorCode;
}

/** Who asks, as far as it matters to a gate. */
export type CallPriority = Pick<ModelCall, 'isBackground'>;

/** What stands between a call and one endpoint, shared by all calls of the process. */
export interface PooledEndpoint {
  readonly endpoint: ModelEndpoint;
  readonly client: EndpointClient;
  readonly bulkhead: Bulkhead;
  readonly breaker: CircuitBreaker;
  isReady(call: CallPriority): boolean;
  /** The rest that this caller must keep. */
  coolDown(call: CallPriority): Cooldown | undefined;
  /**
   * A rate limit that background work has met is for background work: it asks for more at once than
   * people do, so for them there may be room. Every other rest is for everybody.
   */
  rest(coolDown: Cooldown, call: CallPriority): void;
  noteSuccess(): void;
  noteFailure(failure: UpstreamFailure): void;
  state(): EndpointState;
}

export interface PooledEndpointOptions {
  readonly endpoint: ModelEndpoint;
  readonly client: EndpointClient;
  readonly settings: ResilienceSettings;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
}

export function createPooledEndpoint(options: PooledEndpointOptions): PooledEndpoint {
  const { endpoint, settings, clock } = options;
  const bulkhead = createBulkhead({
    maxConcurrent: settings.maxConcurrentPerEndpoint,
    maxQueued: settings.maxQueuedPerEndpoint,
  });
  const breaker = createCircuitBreaker({
    failures: settings.breakerFailures,
    windowSize: settings.breakerWindowSize,
    halfOpenAfterMs: settings.halfOpenAfterMs,
    clock,
    onChange: (state) => logCircuitChange(options, state),
  });
  const forEverybody = createCooldownTimer(clock);
  const forBackground = createCooldownTimer(clock);
  let last: Omit<EndpointState, 'name' | 'circuit' | 'coolingDownUntil'> = {};

  function coolDown({ isBackground = false }: CallPriority): Cooldown | undefined {
    const general = forEverybody.current();
    return isBackground ? laterCooldown(general, forBackground.current()) : general;
  }

  return {
    endpoint,
    client: options.client,
    bulkhead,
    breaker,
    isReady: (call) => coolDown(call) === undefined && breaker.mayEnter() && bulkhead.hasRoom(),
    coolDown,
    rest(next, { isBackground = false }) {
      const isItsOwn = isBackground && next.code === 'upstream_rate_limited';
      (isItsOwn ? forBackground : forEverybody).take(next);
    },
    noteSuccess() {
      last = { ...last, lastSuccessAt: clock.now() };
    },
    noteFailure({ code }) {
      last = { ...last, lastFailureAt: clock.now(), lastFailureCode: code };
    },
    state() {
      const until = forEverybody.current()?.until;
      return {
        name: endpoint.name,
        circuit: breaker.state(),
        ...(until === undefined ? {} : { coolingDownUntil: until }),
        ...last,
      };
    },
  };
}

function logCircuitChange(
  { telemetry, endpoint }: PooledEndpointOptions,
  state: CircuitState,
): void {
  const fields = { endpoint: endpoint.name };
  if (state === 'open') telemetry.warn('model circuit opened', fields);
  else if (state === 'half-open') telemetry.info('model circuit half-open', fields);
  else telemetry.info('model circuit closed', fields);
}

/** An endpoint may ask for a rest; that lasts until a time and answers with a code meanwhile. */
export interface Cooldown {
  readonly until: number;
  readonly code: ErrorCode;
  /** Whether the upstream named the time itself. */
  readonly isNamed: boolean;
}

/** The longest rest that is taken, and the longest wait that is passed on to callers. */
export const MAX_COOLDOWN_MS = 300_000;

/** The rest of an endpoint, as far as one kind of callers must keep it. */
export interface CooldownTimer {
  current(): Cooldown | undefined;
  /** The longer of two rests counts. */
  take(next: Cooldown): void;
}

export function createCooldownTimer(clock: Clock): CooldownTimer {
  let cooling: Cooldown | undefined;
  function current(): Cooldown | undefined {
    const now = clock.now();
    // Over, or further away than any rest can be: then the clock was set back.
    if (cooling && (cooling.until <= now || cooling.until > now + MAX_COOLDOWN_MS)) {
      cooling = undefined;
    }
    return cooling;
  }
  return {
    current,
    take(next) {
      cooling = laterCooldown(current(), next);
    },
  };
}

export function laterCooldown(
  one: Cooldown | undefined,
  other: Cooldown | undefined,
): Cooldown | undefined {
  if (one === undefined || other === undefined) return one ?? other;
  return other.until > one.until ? other : one;
}

/** What all calls of a process share. */
export interface ModelCallContext {
  /** In the order of preference. */
  readonly gates: readonly PooledEndpoint[];
  readonly budget: RetryBudget;
  readonly settings: ResilienceSettings;
  readonly clock: Clock;
  readonly random: () => number;
  readonly onAuthFailure?: ((endpoint: ModelEndpoint) => Promise<boolean>) | undefined;
}

/** One call of the product on its way through attempts and endpoints. */
export interface ModelCallState {
  readonly context: ModelCallContext;
  readonly call: ModelCall;
  /** Endpoints that were asked. */
  readonly tried: Set<PooledEndpoint>;
  /** Endpoints that will not help this call any more. */
  readonly excluded: Set<PooledEndpoint>;
  /** Endpoints that were given a second chance at once: new credentials, another spelling. */
  readonly pardoned: Set<PooledEndpoint>;
  /** The endpoint that a second chance is for. */
  preferred: PooledEndpoint | undefined;
  attempts: number;
  unreadableAnswers: number;
  /** Of the failures so far the one to tell if nothing helps. */
  worthTelling: UpstreamFailure | undefined;
}

export function startModelCall(context: ModelCallContext, call: ModelCall): ModelCallState {
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

export function usableEndpoints({ context, excluded }: ModelCallState): PooledEndpoint[] {
  return context.gates.filter((gate) => !excluded.has(gate));
}

/** The endpoint to ask now: a pardoned one, else the first that was not asked, else the first. */
export function chooseEndpoint(journey: ModelCallState): PooledEndpoint | undefined {
  if (journey.preferred?.isReady(journey.call)) return journey.preferred;
  const ready = usableEndpoints(journey).filter((gate) => gate.isReady(journey.call));
  return ready.find((gate) => !journey.tried.has(gate)) ?? ready[0];
}

/** An endpoint that only rests, and its rest as it was when somebody looked. */
export interface CoolingEndpoint {
  readonly gate: PooledEndpoint;
  readonly coolDown: Cooldown;
}

/**
 * Of the endpoints that only rest, the one that is back first. To be asked before it is asked which
 * endpoints are ready: one whose rest ends in between would else be neither.
 */
export function findSoonestAvailable(journey: ModelCallState): CoolingEndpoint | undefined {
  return usableEndpoints(journey)
    .filter((gate) => gate.breaker.mayEnter())
    .map((gate) => ({ gate, coolDown: gate.coolDown(journey.call) }))
    .filter((one): one is CoolingEndpoint => one.coolDown !== undefined)
    .sort((left, right) => left.coolDown.until - right.coolDown.until)[0];
}

/** Whether a wait leaves the caller any time; without a deadline, the time of one attempt. */
export function fitsDeadline({ context, call }: ModelCallState, waitMs: number): boolean {
  const left =
    call.deadlineAt === undefined
      ? context.settings.attemptTimeoutMs
      : call.deadlineAt - context.clock.now();
  return waitMs < left;
}
