import { createIdleTimer, abortReason, type IdleTimer } from '../resilience/abort.ts';
import type { PooledEndpoint } from './endpoint-pool.ts';
import { timedOutAnswer, toUpstreamFailure, type UpstreamFailure } from './upstream-error.ts';

/** One call under way: its slot, its leave to call, its time limit. Exactly one ending counts. */
export interface Attempt {
  readonly gate: PooledEndpoint;
  /** Aborts when the caller leaves or the watchdog bites. */
  readonly signal: AbortSignal;
  readonly watchdog: IdleTimer;
  /** The endpoint is alive though the answer is not whole yet. */
  progress(): void;
  succeed(): void;
  /** Ends the call for what was thrown, and says what that means. */
  fail(thrown: unknown): UpstreamFailure;
  /** Ends the call without a verdict; nothing happens after another ending. */
  close(): void;
}

/**
 * Waits for a slot, then asks the breaker, then starts the clock: a call that queued does not lose
 * its time limit, and a circuit that opened meanwhile is seen. Undefined where it may not go on.
 */
export async function startAttempt(
  gate: PooledEndpoint,
  callerSignal: AbortSignal,
): Promise<Attempt | undefined> {
  const leave = await gate.bulkhead.enter(callerSignal);
  if (leave === undefined) return undefined;
  throwIfAborted(callerSignal, leave);
  const pass = gate.breaker.enter();
  if (pass === undefined) {
    leave();
    return undefined;
  }
  const controller = new AbortController();
  const watchdog = createIdleTimer(() =>
    controller.abort(timedOutAnswer('The time limit has passed')),
  );
  let isOpen = true;
  let hasAnswered = false;

  function release(): void {
    isOpen = false;
    callerSignal.removeEventListener('abort', giveUp);
    watchdog.stop();
    pass?.leave();
    leave?.();
  }
  function close(): void {
    if (!isOpen) return;
    release();
    controller.abort(new Error('The call has ended'));
  }
  // Here rather than in a `finally`: a stream that nobody reads any more never comes to one.
  function giveUp(): void {
    controller.abort(abortReason(callerSignal));
    close();
  }
  callerSignal.addEventListener('abort', giveUp, { once: true });

  return {
    gate,
    signal: controller.signal,
    watchdog,
    progress() {
      hasAnswered = true;
      pass.progress();
    },
    succeed() {
      pass.succeed();
      gate.noteSuccess();
      release();
    },
    fail(thrown) {
      const failure = watchdog.hasBitten()
        ? timedOutAnswer('The time limit of the attempt has passed')
        : toUpstreamFailure(thrown);
      if (countsAsFailure(failure, hasAnswered)) pass.fail();
      if (failure.remedy !== 'never' && failure.remedy !== 'again') gate.noteFailure(failure);
      close();
      return failure;
    },
    close,
  };
}

/** Who takes calls and answers is not down: short answers still come whole from there. */
function countsAsFailure({ unhealthy, code }: UpstreamFailure, hasAnswered: boolean): boolean {
  return unhealthy && !(hasAnswered && code === 'upstream_interrupted');
}

/** Between the slot and the listener: an abort is told once, and nobody was listening yet. */
function throwIfAborted(callerSignal: AbortSignal, leave: () => void): void {
  if (!callerSignal.aborted) return;
  leave();
  throw abortReason(callerSignal);
}
