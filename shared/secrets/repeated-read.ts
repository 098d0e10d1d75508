/** A read that repeats itself in the background and never runs twice at once. */
export interface RepeatedRead {
  /** Reads at once; whoever asks while a read runs waits for that one. */
  now(): Promise<void>;
  /** Resolves when no read is under way. */
  idle(): Promise<void>;
  stop(): void;
}

export interface RepeatedReadOptions {
  /** Must not throw. */
  readonly read: () => Promise<void>;
  /** Asked after each read. */
  readonly nextDelayMs: () => number;
}

export function createRepeatedRead({ read, nextDelayMs }: RepeatedReadOptions): RepeatedRead {
  let timer: NodeJS.Timeout | undefined;
  let reading: Promise<void> | undefined;
  let isStopped = false;

  function now(): Promise<void> {
    clearTimeout(timer);
    reading ??= read().finally(() => {
      reading = undefined;
      if (isStopped) return;
      timer = setTimeout(() => void now(), nextDelayMs());
      // A process with nothing else to do may end.
      timer.unref();
    });
    return reading;
  }
  return {
    now,
    idle: async () => reading,
    stop() {
      isStopped = true;
      clearTimeout(timer);
    },
  };
}
