import type { PooledEndpoint } from './endpoint-pool.ts';
import { timedOutResponse, toUpstreamFailure, type UpstreamFailure } from './upstream-error.ts';
import { abortReason, createIdleTimer, type IdleTimer } from '../resilience/abort.ts';
import type { CallOutcome, CallSlot } from '../resilience/policies.ts';

/** One call to one endpoint. It keeps its slot in the policies until it is closed. */
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

export interface AttemptOptions {
  readonly endpoint: PooledEndpoint;
  readonly slot: CallSlot;
  /** Aborts when the client disconnects. */
  readonly callerSignal: AbortSignal;
}

export function startAttempt({ endpoint, slot, callerSignal }: AttemptOptions): Attempt {
  const startedAt = performance.now();
  const controller = new AbortController();
  const idleTimer = createIdleTimer(() =>
    controller.abort(timedOutResponse('The time limit has passed')),
  );
  let isOpen = true;
  let hasAnswered = false;

  function finish(outcome: CallOutcome, { isAborted }: { readonly isAborted: boolean }): void {
    if (!isOpen) return;
    isOpen = false;
    callerSignal.removeEventListener('abort', abort);
    idleTimer.dispose();
    slot.end(outcome);
    if (isAborted) controller.abort(new Error('The call has ended'));
  }
  function close(): void {
    finish('unknown', { isAborted: true });
  }
  // The caller may never read its stream again, so the abort itself must free the slot.
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
      slot.progress();
    },
    succeed() {
      endpoint.recordSuccess();
      finish('healthy', { isAborted: false });
    },
    fail(thrown) {
      const failure = idleTimer.timedOut()
        ? timedOutResponse('The time limit of the attempt has passed')
        : toUpstreamFailure(thrown);
      if (failure.retryMode !== 'none' && failure.retryMode !== 'immediate') {
        endpoint.recordFailure(failure);
      }
      const outcome = isEndpointFailure(failure, hasAnswered) ? 'failing' : 'unknown';
      finish(outcome, { isAborted: true });
      return failure;
    },
    close,
  };
}

/** A stream that breaks after its first token does not count: short responses still arrive. */
function isEndpointFailure(failure: UpstreamFailure, hasAnswered: boolean): boolean {
  return failure.countsAsFailure && !(hasAnswered && failure.code === 'upstream_interrupted');
}
