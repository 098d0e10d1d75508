import type { PooledEndpoint } from './endpoint-pool.ts';
import { timedOutResponse, toUpstreamFailure, type UpstreamFailure } from './upstream-error.ts';
import { abortReason, createIdleTimer, type IdleTimer } from '../resilience/abort.ts';
import type { ReleaseSlot } from '../resilience/bulkhead.ts';
import type { CircuitPermit } from '../resilience/circuit-breaker.ts';

/** One call to one endpoint. It holds a bulkhead slot and a circuit permit until it is closed. */
export interface Attempt {
  readonly endpoint: PooledEndpoint;
  /** Aborts when the client disconnects or the attempt times out. */
  readonly signal: AbortSignal;
  readonly idleTimer: IdleTimer;
  durationMs(): number;
  /** Records that the endpoint is alive before its response is complete. */
  progress(): void;
  succeed(): void;
  /** Records the failure and closes the attempt. */
  fail(thrown: unknown): UpstreamFailure;
  /** Closes the attempt without an outcome. The first of `succeed`, `fail` and `close` counts. */
  close(): void;
}

/**
 * Acquires a bulkhead slot, then a circuit permit. The time limit starts afterwards, so that
 * queueing costs no attempt time and a circuit that opened meanwhile is seen.
 *
 * @returns undefined where the queue is full or the circuit is open
 * @throws the reason of `callerSignal`
 */
export async function startAttempt(
  endpoint: PooledEndpoint,
  callerSignal: AbortSignal,
): Promise<Attempt | undefined> {
  const releaseSlot = await endpoint.bulkhead.acquire(callerSignal);
  if (releaseSlot === undefined) return undefined;
  if (callerSignal.aborted) {
    releaseSlot();
    throw abortReason(callerSignal);
  }
  const permit = endpoint.breaker.tryAcquire();
  if (permit === undefined) {
    releaseSlot();
    return undefined;
  }
  return createAttempt({ endpoint, callerSignal, releaseSlot, permit });
}

interface AttemptParts {
  readonly endpoint: PooledEndpoint;
  readonly callerSignal: AbortSignal;
  readonly releaseSlot: ReleaseSlot;
  readonly permit: CircuitPermit;
}

function createAttempt({ endpoint, callerSignal, releaseSlot, permit }: AttemptParts): Attempt {
  const startedAt = performance.now();
  const controller = new AbortController();
  const idleTimer = createIdleTimer(() =>
    controller.abort(timedOutResponse('The time limit has passed')),
  );
  let isOpen = true;
  let hasAnswered = false;

  function release(): void {
    isOpen = false;
    callerSignal.removeEventListener('abort', abort);
    idleTimer.dispose();
    permit.release();
    releaseSlot();
  }
  function close(): void {
    if (!isOpen) return;
    release();
    controller.abort(new Error('The call has ended'));
  }
  // The caller may never read its stream again, so the abort itself must release the attempt.
  function abort(): void {
    controller.abort(abortReason(callerSignal));
    close();
  }
  callerSignal.addEventListener('abort', abort, { once: true });

  return {
    endpoint,
    signal: controller.signal,
    idleTimer,
    durationMs: () => performance.now() - startedAt,
    progress() {
      hasAnswered = true;
      permit.progress();
    },
    succeed() {
      permit.succeed();
      endpoint.recordSuccess();
      release();
    },
    fail(thrown) {
      const failure = idleTimer.timedOut()
        ? timedOutResponse('The time limit of the attempt has passed')
        : toUpstreamFailure(thrown);
      if (isEndpointFailure(failure, hasAnswered)) permit.fail();
      if (failure.retryMode !== 'none' && failure.retryMode !== 'immediate') {
        endpoint.recordFailure(failure);
      }
      close();
      return failure;
    },
    close,
  };
}

/** A stream that breaks after its first token does not count: short responses still arrive. */
function isEndpointFailure(failure: UpstreamFailure, hasAnswered: boolean): boolean {
  return failure.countsAsFailure && !(hasAnswered && failure.code === 'upstream_interrupted');
}
