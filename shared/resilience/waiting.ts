/** Waits that end at once when the caller gives up, and leave neither timer nor listener behind. */
export function waitFor(delayMs: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      reject(reasonOf(signal));
      return;
    }
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', giveUp);
      resolve();
    }, delayMs);
    function giveUp(): void {
      clearTimeout(timer);
      reject(reasonOf(signal));
    }
    signal.addEventListener('abort', giveUp, { once: true });
  });
}

/** The outcome of work that knows nothing of signals, or the signal's reason if that is sooner. */
export function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    function giveUp(): void {
      reject(reasonOf(signal));
    }
    if (signal.aborted) giveUp();
    else signal.addEventListener('abort', giveUp, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', giveUp));
  });
}

/** The reason of an aborted signal in a form that may be thrown. */
export function reasonOf(signal: AbortSignal): Error {
  const reason: unknown = signal.reason;
  return reason instanceof Error ? reason : new Error('The call was aborted', { cause: reason });
}
