/** Rejects at once with the abort reason; leaves neither a timer nor a listener behind. */
export function delay(delayMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      reject(abortReason(signal));
      return;
    }
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', abort);
      resolve();
    }, delayMs);
    function abort(): void {
      clearTimeout(timer);
      reject(abortReason(signal));
    }
    signal.addEventListener('abort', abort, { once: true });
  });
}

/** Settles as `work` does, or rejects with the abort reason first. For work that takes no signal. */
export function raceAbort<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    function abort(): void {
      reject(abortReason(signal));
    }
    if (signal.aborted) abort();
    else signal.addEventListener('abort', abort, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}

/** `raceAbort` for many promises, one after the other or together, with one listener on the signal. */
export function createAbortRace(signal: AbortSignal): <T>(work: Promise<T>) => Promise<T> {
  const waiting = new Set<(reason: Error) => void>();
  function abort(): void {
    for (const reject of waiting) reject(abortReason(signal));
    waiting.clear();
  }
  signal.addEventListener('abort', abort, { once: true });
  return (work) =>
    new Promise((resolve, reject) => {
      if (signal.aborted) reject(abortReason(signal));
      else waiting.add(reject);
      work.then(resolve, reject).finally(() => waiting.delete(reject));
    });
}

/** Settles as `work` does, or rejects with the error of `onTimeout` after `timeoutMs`. */
export async function withTimeout<T>(
  work: Promise<T>,
  { timeoutMs, onTimeout }: { readonly timeoutMs: number; readonly onTimeout: () => Error },
): Promise<T> {
  const timeout = Promise.withResolvers<never>();
  const timer = setTimeout(() => timeout.reject(onTimeout()), timeoutMs);
  try {
    return await Promise.race([work, timeout.promise]);
  } finally {
    clearTimeout(timer);
  }
}

/** The promise's value, or `timeout` if it takes longer. */
export async function raceTimeout<T>(promise: Promise<T>, ms: number): Promise<T | 'timeout'> {
  const timeout = Promise.withResolvers<'timeout'>();
  const timer = setTimeout(() => timeout.resolve('timeout'), ms);
  try {
    return await Promise.race([promise, timeout.promise]);
  } finally {
    clearTimeout(timer);
  }
}

/** The reason of an aborted signal as an Error. */
export function abortReason(signal: AbortSignal): Error {
  const reason: unknown = signal.reason;
  return reason instanceof Error ? reason : new Error('The call was aborted', { cause: reason });
}

/** A controller that can be aborted by itself, and aborts when another signal does. */
export interface LinkedController {
  readonly controller: AbortController;
  /** Removes the listener from the other signal. */
  readonly unlink: () => void;
}

export function linkController(signal: AbortSignal): LinkedController {
  const controller = new AbortController();
  function abort(): void {
    controller.abort(abortReason(signal));
  }
  if (signal.aborted) abort();
  else signal.addEventListener('abort', abort, { once: true });
  return { controller, unlink: () => signal.removeEventListener('abort', abort) };
}

/** Limits the time without progress. Only the time between `start` and `pause` counts. */
export interface IdleTimer {
  /** Starts or restarts the limit. */
  start(timeoutMs: number): void;
  pause(): void;
  /** Clears the timer. Call it in `finally`. */
  dispose(): void;
  timedOut(): boolean;
}

/**
 * One timer for thousands of tokens: `start` and `pause` only move the limit, and the timer checks
 * it when it fires. Durations come from the monotonic clock, so changes of the system clock neither
 * cut a stream nor keep a dead one.
 */
export function createIdleTimer(onTimeout: () => void): IdleTimer {
  let limit = Number.POSITIVE_INFINITY;
  let firesAt = Number.POSITIVE_INFINITY;
  let timer: NodeJS.Timeout | undefined;
  let isTimedOut = false;

  function schedule(at: number): void {
    clearTimeout(timer);
    firesAt = at;
    timer = setTimeout(check, Math.max(1, Math.ceil(at - performance.now())));
  }

  function check(): void {
    timer = undefined;
    firesAt = Number.POSITIVE_INFINITY;
    if (limit === Number.POSITIVE_INFINITY) return;
    if (performance.now() < limit) {
      schedule(limit);
      return;
    }
    isTimedOut = true;
    onTimeout();
  }

  return {
    start(timeoutMs) {
      limit = performance.now() + timeoutMs;
      if (limit < firesAt) schedule(limit);
    },
    pause() {
      limit = Number.POSITIVE_INFINITY;
    },
    dispose() {
      clearTimeout(timer);
      timer = undefined;
      limit = Number.POSITIVE_INFINITY;
      firesAt = Number.POSITIVE_INFINITY;
    },
    timedOut: () => isTimedOut,
  };
}
