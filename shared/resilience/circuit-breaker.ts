import type { Clock } from '../clock.ts';

export type CircuitState = 'closed' | 'open' | 'half-open';

export interface CircuitBreakerOptions {
  /** Fewer failures in the window never open the circuit. */
  readonly failures: number;
  readonly windowSize: number;
  readonly halfOpenAfterMs: number;
  readonly clock: Clock;
  readonly onChange: (state: CircuitState) => void;
}

/** Permission for one call. The first outcome counts; `release` is a call without an outcome. */
export interface CircuitPermit {
  /** The endpoint is alive before its call has ended: a probe closes the circuit now. */
  progress(): void;
  succeed(): void;
  fail(): void;
  /** The call shows nothing about the endpoint: aborted by the caller, or rejected content. */
  release(): void;
}

export interface CircuitBreaker {
  state(): CircuitState;
  /** Milliseconds until a probe is permitted; 0 while calls are permitted or a probe runs. */
  retryInMs(): number;
  isCallPermitted(): boolean;
  /** A permit; undefined while the circuit is open or its probe runs. */
  tryAcquire(): CircuitPermit | undefined;
}

/** A permit keeps the stage in which it was given, so that late outcomes are ignored. */
type Stage =
  | { readonly name: 'closed'; readonly outcomes: boolean[] }
  | { readonly name: 'open'; until: number }
  | { readonly name: 'half-open'; isProbing: boolean };

/**
 * The part of the window that must have failed, besides the least number of failures. At 20 %
 * random failures, five failures in twelve calls are common and a failure rate of 80 % is not; an
 * outage reaches both within a few calls.
 */
const FAILURE_RATE = 0.8;

/**
 * Stops calls to an endpoint that is down. It hands out permits rather than running functions: the
 * outcome of a stream is known long after the function that opened it returned.
 */
export function createCircuitBreaker(options: CircuitBreakerOptions): CircuitBreaker {
  const { clock, halfOpenAfterMs } = options;
  let stage: Stage = { name: 'closed', outcomes: [] };

  function change(next: Stage): void {
    stage = next;
    options.onChange(next.name);
  }

  function untilProbeMs(): number {
    if (stage.name !== 'open') return 0;
    // A clock that is set back must not keep the circuit open for longer.
    stage.until = Math.min(stage.until, clock.now() + halfOpenAfterMs);
    return Math.max(0, stage.until - clock.now());
  }

  function isCallPermitted(): boolean {
    if (stage.name === 'closed') return true;
    return stage.name === 'half-open' ? !stage.isProbing : untilProbeMs() === 0;
  }

  function open(): void {
    change({ name: 'open', until: clock.now() + halfOpenAfterMs });
  }

  function createPermit(acquiredIn: Stage): CircuitPermit {
    let origin = acquiredIn;
    let isPending = true;
    function closeAfterProbe(): void {
      if (origin !== stage || origin.name !== 'half-open') return;
      origin = { name: 'closed', outcomes: [] };
      change(origin);
    }
    function settle(outcome: 'success' | 'failure' | 'none'): void {
      if (!isPending) return;
      isPending = false;
      if (outcome === 'success') closeAfterProbe();
      if (origin !== stage) return;
      if (origin.name === 'half-open') {
        if (outcome === 'failure') open();
        else origin.isProbing = false;
      } else if (origin.name === 'closed' && outcome !== 'none') {
        addOutcome(origin.outcomes, outcome === 'failure', options.windowSize);
        if (outcome === 'failure' && isOutage(origin.outcomes, options.failures)) open();
      }
    }
    return {
      progress: () => isPending && closeAfterProbe(),
      succeed: () => settle('success'),
      fail: () => settle('failure'),
      release: () => settle('none'),
    };
  }

  return {
    state: () => (stage.name === 'open' && untilProbeMs() === 0 ? 'half-open' : stage.name),
    retryInMs: untilProbeMs,
    isCallPermitted,
    tryAcquire() {
      if (!isCallPermitted()) return undefined;
      if (stage.name === 'open') change({ name: 'half-open', isProbing: false });
      if (stage.name === 'half-open') stage.isProbing = true;
      return createPermit(stage);
    },
  };
}

function addOutcome(outcomes: boolean[], isFailure: boolean, windowSize: number): void {
  outcomes.push(isFailure);
  if (outcomes.length > windowSize) outcomes.shift();
}

function isOutage(outcomes: readonly boolean[], minFailures: number): boolean {
  const failures = outcomes.filter(Boolean).length;
  return failures >= minFailures && failures >= FAILURE_RATE * outcomes.length;
}
