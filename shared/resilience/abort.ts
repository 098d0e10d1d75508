/** Waits that end at once when the caller gives up, and leave neither timer nor listener behind. */
export function delay(delayMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      reject(abortReason(signal));
      return;
    }
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', giveUp);
      resolve();
    }, delayMs);
    function giveUp(): void {
      clearTimeout(timer);
      reject(abortReason(signal));
    }
    signal.addEventListener('abort', giveUp, { once: true });
  });
}

/** The outcome of work that knows nothing of signals, or the signal's reason if that is sooner. */
export function raceAbort<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    function giveUp(): void {
      reject(abortReason(signal));
    }
    if (signal.aborted) giveUp();
    else signal.addEventListener('abort', giveUp, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', giveUp));
  });
}

/** The reason of an aborted signal in a form that may be thrown. */
export function abortReason(signal: AbortSignal): Error {
  const reason: unknown = signal.reason;
  return reason instanceof Error ? reason : new Error('The call was aborted', { cause: reason });
}

/** Ends work that makes no progress. Only time spent waiting for the work counts. */
export interface IdleTimer {
  /** The wait for progress begins: it may last this long. */
  begin(timeoutMs: number): void;
  /** Progress was made, or whoever waits has turned to something else. */
  end(): void;
  /** Removes the timer; to be called in `finally`. */
  stop(): void;
  /** Whether the watchdog has ended the work. */
  hasBitten(): boolean;
}

/**
 * One timer for thousands of tokens: `begin` and `end` only move a limit, and the timer, when it
 * fires, looks whether the limit has passed or how long it still has to sleep. Durations come from
 * the monotonic clock, so setting the system clock neither cuts a stream nor keeps a dead one.
 */
export function createIdleTimer(bite: () => void): IdleTimer {
  let limit = Number.POSITIVE_INFINITY;
  let firesAt = Number.POSITIVE_INFINITY;
  let timer: NodeJS.Timeout | undefined;
  let bitten = false;

  function schedule(at: number): void {
    clearTimeout(timer);
    firesAt = at;
    timer = setTimeout(look, Math.max(1, Math.ceil(at - performance.now())));
  }

  function look(): void {
    timer = undefined;
    firesAt = Number.POSITIVE_INFINITY;
    if (limit === Number.POSITIVE_INFINITY) return;
    if (performance.now() < limit) {
      schedule(limit);
      return;
    }
    bitten = true;
    bite();
  }

  return {
    begin(timeoutMs) {
      limit = performance.now() + timeoutMs;
      if (limit < firesAt) schedule(limit);
    },
    end() {
      limit = Number.POSITIVE_INFINITY;
    },
    stop() {
      clearTimeout(timer);
      timer = undefined;
      limit = Number.POSITIVE_INFINITY;
      firesAt = Number.POSITIVE_INFINITY;
    },
    hasBitten: () => bitten,
  };
}
