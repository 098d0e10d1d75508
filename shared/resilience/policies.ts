import {
  bulkhead,
  type CircuitBreakerPolicy,
  circuitBreaker,
  CircuitState as State,
  ConsecutiveBreaker,
  CountBreaker,
  handleWhen,
  handleWhenResult,
  type IBackoff,
  type IHalfOpenAfterBackoffContext,
  TaskCancelledError,
  timeout,
  TimeoutStrategy,
  wrap,
} from 'cockatiel';
import type { Clock } from '../clock.ts';
import { abortReason, raceAbort } from './abort.ts';

export type CircuitState = 'closed' | 'open' | 'half-open';

/** What a call shows about its endpoint. `unknown`: aborted by the caller, or rejected content. */
export type CallOutcome = 'healthy' | 'failing' | 'unknown';

/** The slot and the permit of one call. */
export interface CallSlot {
  /** The endpoint is alive before the call has ended: a probe closes the circuit now. */
  progress(): void;
  /** Releases the slot. The first outcome counts. */
  end(outcome: CallOutcome): void;
}

/** The policies around each call to one endpoint. */
export interface EndpointPolicies {
  /**
   * Runs a call once a slot is free. It settles as `run` does; a stream keeps its slot beyond that,
   * until `end`.
   *
   * @throws CallNotPermittedError where the queue is full or the circuit is open; the reason of
   *   `signal`; otherwise what `run` throws
   */
  execute<T>(run: (slot: CallSlot) => Promise<T>, signal: AbortSignal): Promise<T>;
  state(): CircuitState;
  /** Whether the circuit permits a call: closed, or due for a probe. */
  isCallPermitted(): boolean;
  /** Whether a slot or a place in the queue is free. */
  hasCapacity(): boolean;
  /** Milliseconds until a probe is permitted; 0 while calls are permitted or a probe runs. */
  retryInMs(): number;
}

export class CallNotPermittedError extends Error {}

export interface EndpointPolicyOptions {
  /** Calls in the window before which the circuit never opens. */
  readonly minCalls: number;
  readonly windowSize: number;
  readonly halfOpenAfterMs: number;
  readonly maxConcurrent: number;
  readonly maxQueued: number;
  readonly clock: Clock;
  readonly onCircuitChange: (state: CircuitState) => void;
}

/**
 * The failure rate that opens the circuit. At 20 % random failures, five in twelve calls are common
 * and more than four fifths of them never happen; an outage reaches that within a few calls.
 */
const FAILURE_RATE = 0.8;
/** Queued calls of the bulkhead per permitted one: aborted calls leave its queue late. */
const QUEUE_FACTOR = 8;

/**
 * The order, from the outside in: the bulkhead, so that queueing costs no time of the call; the
 * circuit breaker, so that a queued call sees a circuit that opened meanwhile; the call, which has
 * its own time limit.
 */
export function createEndpointPolicies(options: EndpointPolicyOptions): EndpointPolicies {
  const { maxConcurrent, maxQueued } = options;
  const slots = bulkhead(maxConcurrent, maxQueued * QUEUE_FACTOR);
  const circuit = createCircuit(options);
  let queued = 0;

  function hasCapacity(): boolean {
    return slots.executionSlots > 0 || (queued < maxQueued && slots.queueSlots > 0);
  }

  return {
    state: circuit.state,
    isCallPermitted: circuit.isCallPermitted,
    retryInMs: circuit.retryInMs,
    hasCapacity,
    async execute<T>(run: (slot: CallSlot) => Promise<T>, signal: AbortSignal): Promise<T> {
      if (signal.aborted) throw abortReason(signal);
      if (!hasCapacity()) throw new CallNotPermittedError('The queue is full');
      const result = Promise.withResolvers<T>();
      const isQueued = slots.executionSlots === 0;
      const dequeue = once(() => (queued -= 1));
      queued += 1;
      slots
        .execute(async () => {
          dequeue();
          if (signal.aborted) return;
          if (!circuit.isCallPermitted()) throw new CallNotPermittedError('The circuit is open');
          const call = createCall();
          result.resolve(run(call.slot));
          await Promise.all([circuit.observe(call), call.ended]);
        }, signal)
        .catch(result.reject);
      if (!isQueued) return result.promise;
      // The bulkhead does not remove an aborted call from its queue.
      return raceAbort(result.promise, signal).finally(dequeue);
    },
  };
}

interface ObservedCall {
  readonly slot: CallSlot;
  /** Resolves at the first sign of life or with the outcome. */
  readonly alive: Promise<CallOutcome>;
  readonly ended: Promise<CallOutcome>;
}

function createCall(): ObservedCall {
  const alive = Promise.withResolvers<CallOutcome>();
  const ended = Promise.withResolvers<CallOutcome>();
  return {
    alive: alive.promise,
    ended: ended.promise,
    slot: {
      progress: () => alive.resolve('healthy'),
      end(outcome) {
        alive.resolve(outcome);
        ended.resolve(outcome);
      },
    },
  };
}

/** Thrown through the breaker for a call that must not count. */
class UncountedCall extends Error {}

function createCircuit(options: EndpointPolicyOptions) {
  const { minCalls, windowSize, onCircuitChange } = options;
  const halfOpenAfter = createProbeDelay(options);
  const breaker = circuitBreaker(
    handleWhenResult((outcome) => outcome !== 'healthy'),
    {
      halfOpenAfter,
      breaker: new CountBreaker({
        size: Math.max(windowSize, minCalls),
        minimumNumberOfCalls: minCalls,
        threshold: FAILURE_RATE,
      }),
    },
  );
  let timesOpened = 0;
  let reported: CircuitState = 'closed';
  breaker.onBreak(() => (timesOpened += 1));
  breaker.onStateChange(() => {
    // A probe without an outcome opens the circuit for 0 ms: it stays half-open for the next call.
    const state = stateOf(breaker, halfOpenAfter);
    if (state !== reported) onCircuitChange(state);
    reported = state;
  });

  return {
    state: () => stateOf(breaker, halfOpenAfter),
    isCallPermitted: () => isCallPermitted(breaker, halfOpenAfter),
    retryInMs: () => (breaker.state === State.Open ? halfOpenAfter.remainingMs() : 0),
    async observe({ alive, ended }: ObservedCall): Promise<void> {
      const timesOpenedBefore = timesOpened;
      try {
        await breaker.execute(async () => {
          const outcome = await (breaker.state === State.HalfOpen ? alive : ended);
          // Calls from before the circuit opened say nothing about the endpoint now.
          const isLate = timesOpened !== timesOpenedBefore;
          const isUncounted = outcome === 'unknown' && breaker.state !== State.HalfOpen;
          if (isLate || isUncounted) throw new UncountedCall();
          return outcome;
        });
      } catch (thrown) {
        if (!(thrown instanceof UncountedCall)) throw thrown;
      }
    },
  };
}

/** Time until an open circuit permits a probe. */
interface ProbeDelay extends IBackoff<IHalfOpenAfterBackoffContext> {
  remainingMs(): number;
}

/**
 * A back-off of cockatiel by the clock of the app. The breaker compares `duration` with the time of
 * the system clock since it opened, so the answer here is only "over" or "not over".
 */
function createProbeDelay(options: {
  readonly halfOpenAfterMs: number;
  readonly clock: Clock;
}): ProbeDelay {
  const { halfOpenAfterMs, clock } = options;
  let until = 0;
  function remainingMs(): number {
    // A clock that is set back must not keep the circuit open for longer.
    until = Math.min(until, clock.now() + halfOpenAfterMs);
    return Math.max(0, until - clock.now());
  }
  const delay: ProbeDelay = {
    remainingMs,
    get duration() {
      return remainingMs() === 0 ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
    },
    next({ result }) {
      const isUnknown = 'value' in result && result.value === 'unknown';
      until = clock.now() + (isUnknown ? 0 : halfOpenAfterMs);
      return delay;
    },
  };
  return delay;
}

function stateOf(breaker: CircuitBreakerPolicy, delay: ProbeDelay): CircuitState {
  if (breaker.state === State.Closed) return 'closed';
  return breaker.state === State.Open && delay.remainingMs() > 0 ? 'open' : 'half-open';
}

/** Closed, or due for a probe. While a probe runs cockatiel would make other calls wait for it. */
function isCallPermitted(breaker: CircuitBreakerPolicy, delay: ProbeDelay): boolean {
  if (breaker.state === State.Open) return delay.remainingMs() === 0;
  return breaker.state === State.Closed;
}

function once(action: () => void): () => void {
  let isDone = false;
  return () => {
    if (isDone) return;
    isDone = true;
    action();
  };
}

/** The policy around each command to a server for which every caller has a fallback. */
export interface FallbackPolicy {
  /**
   * @throws CallNotPermittedError while the circuit is open or its probe runs; the timeout error
   *   after `timeoutMs`; otherwise what `work` throws
   */
  execute<T>(work: () => Promise<T>): Promise<T>;
  state(): CircuitState;
}

export interface FallbackPolicyOptions {
  readonly timeoutMs: number;
  readonly halfOpenAfterMs: number;
  readonly clock: Clock;
  /** Whether an error shows that the server is unavailable. */
  readonly isOutage: (error: unknown) => boolean;
  readonly timeoutError: () => Error;
}

/** A circuit that opens on the first failure, around a time limit. */
export function createFallbackPolicy(options: FallbackPolicyOptions): FallbackPolicy {
  const halfOpenAfter = createProbeDelay(options);
  const breaker = circuitBreaker(handleWhen(options.isOutage), {
    halfOpenAfter,
    breaker: new ConsecutiveBreaker(1),
  });
  const limit = timeout(options.timeoutMs, TimeoutStrategy.Aggressive);
  const policy = wrap(breaker, limit);
  return {
    state: () => stateOf(breaker, halfOpenAfter),
    async execute(work) {
      if (!isCallPermitted(breaker, halfOpenAfter)) {
        throw new CallNotPermittedError('The circuit is open');
      }
      try {
        return await policy.execute(work);
      } catch (thrown) {
        throw thrown instanceof TaskCancelledError ? options.timeoutError() : thrown;
      }
    },
  };
}
