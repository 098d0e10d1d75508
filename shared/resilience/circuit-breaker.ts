import type { Clock } from '../clock.ts';

export type CircuitState = 'closed' | 'open' | 'half-open';

export interface CircuitBreakerOptions {
  /** Fewer failures than this in the window never open the circuit. */
  readonly failures: number;
  readonly windowSize: number;
  readonly halfOpenAfterMs: number;
  readonly clock: Clock;
  readonly onChange: (state: CircuitState) => void;
}

/** Leave to make one call. Exactly one verdict counts; a call without a verdict is `leave`. */
export interface CircuitPermit {
  /** The endpoint is alive though the call is not over: a probe closes the circuit now. */
  progress(): void;
  succeed(): void;
  fail(): void;
  /** The call says nothing about the endpoint: aborted by the caller, refused for its content. */
  leave(): void;
}

export interface CircuitBreaker {
  state(): CircuitState;
  /** Milliseconds until a probe is let through; 0 when calls may pass or a probe is under way. */
  retryInMs(): number;
  mayEnter(): boolean;
  /** A pass, or undefined while the circuit is open or its one probe is still out. */
  enter(): CircuitPermit | undefined;
}

/** What the circuit is. A pass holds the stage it was given in, so late verdicts count nowhere. */
type Stage =
  | { readonly name: 'closed'; readonly outcomes: boolean[] }
  | { readonly name: 'open'; until: number }
  | { readonly name: 'half-open'; probing: boolean };

/**
 * Besides the least number of failures this part of the window must have failed. At one random
 * fault in five, five failures in twelve calls are common and four fifths of them never happen;
 * an outage fills both within a few calls.
 */
const FAILED_PART = 0.8;

/**
 * Stops calling an endpoint that is down. Written for passes rather than for functions, because
 * the verdict on a stream comes long after the function that opened it has returned.
 */
export function createCircuitBreaker(options: CircuitBreakerOptions): CircuitBreaker {
  const { clock, halfOpenAfterMs } = options;
  let stage: Stage = { name: 'closed', outcomes: [] };

  function become(next: Stage): void {
    stage = next;
    options.onChange(next.name);
  }

  function untilProbeMs(): number {
    if (stage.name !== 'open') return 0;
    // A clock that was set back must not keep the circuit open for longer than agreed.
    stage.until = Math.min(stage.until, clock.now() + halfOpenAfterMs);
    return Math.max(0, stage.until - clock.now());
  }

  function mayEnter(): boolean {
    if (stage.name === 'closed') return true;
    return stage.name === 'half-open' ? !stage.probing : untilProbeMs() === 0;
  }

  function open(): void {
    become({ name: 'open', until: clock.now() + halfOpenAfterMs });
  }

  function createPass(enteredIn: Stage): CircuitPermit {
    let given = enteredIn;
    let pending = true;
    function closeAfterProbe(): void {
      if (given !== stage || given.name !== 'half-open') return;
      given = { name: 'closed', outcomes: [] };
      become(given);
    }
    function decide(verdict: 'good' | 'bad' | 'none'): void {
      if (!pending) return;
      pending = false;
      if (verdict === 'good') closeAfterProbe();
      if (given !== stage) return;
      if (given.name === 'half-open') {
        if (verdict === 'bad') open();
        else given.probing = false;
      } else if (given.name === 'closed' && verdict !== 'none') {
        remember(given.outcomes, verdict === 'bad', options.windowSize);
        if (verdict === 'bad' && isOutage(given.outcomes, options.failures)) open();
      }
    }
    return {
      progress: () => pending && closeAfterProbe(),
      succeed: () => decide('good'),
      fail: () => decide('bad'),
      leave: () => decide('none'),
    };
  }

  return {
    state: () => (stage.name === 'open' && untilProbeMs() === 0 ? 'half-open' : stage.name),
    retryInMs: untilProbeMs,
    mayEnter,
    enter() {
      if (!mayEnter()) return undefined;
      if (stage.name === 'open') become({ name: 'half-open', probing: false });
      if (stage.name === 'half-open') stage.probing = true;
      return createPass(stage);
    },
  };
}

function remember(outcomes: boolean[], failed: boolean, windowSize: number): void {
  outcomes.push(failed);
  if (outcomes.length > windowSize) outcomes.shift();
}

function isOutage(outcomes: readonly boolean[], leastFailures: number): boolean {
  const failures = outcomes.filter(Boolean).length;
  return failures >= leastFailures && failures >= FAILED_PART * outcomes.length;
}
