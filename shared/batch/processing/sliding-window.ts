/**
 * Runs the tasks with at most `width` at once. The next task starts as soon as one ends, so a slow
 * task holds up no other. Starts no further task once `isClosed` returns true. Rejects with the
 * first failure after every started task has ended.
 */
export async function slidingWindow<T>(
  tasks: Iterable<T>,
  {
    width,
    isClosed,
    run,
  }: {
    readonly width: number;
    readonly isClosed: () => boolean;
    readonly run: (task: T) => Promise<void>;
  },
): Promise<void> {
  const queue = tasks[Symbol.iterator]();
  let failure: { readonly error: unknown } | undefined;
  async function lane(): Promise<void> {
    while (failure === undefined && !isClosed()) {
      const next = queue.next();
      if (next.done === true) return;
      try {
        await run(next.value);
      } catch (error) {
        failure ??= { error };
      }
    }
  }
  await Promise.all(Array.from({ length: width }, lane));
  if (failure !== undefined) throw failure.error;
}

export interface WriteBehindOptions {
  /** Writes that may be pending while work goes on. */
  readonly max: number;
  /** Called once, at the first failure: later writes would fail too. */
  readonly onFailure: (error: unknown) => void;
}

/** Lets work go on while its last results are written, up to a bound. */
export interface WriteBehind {
  /** Resolves when the work may go on; never rejects. */
  add(write: Promise<void>): Promise<void>;
  /** Resolves when every write is done; rejects with the first failure. */
  settled(): Promise<void>;
}

export function createWriteBehind({ max, onFailure }: WriteBehindOptions): WriteBehind {
  const pending = new Set<Promise<void>>();
  let failure: { readonly error: unknown } | undefined;
  async function observe(write: Promise<void>): Promise<void> {
    try {
      await write;
    } catch (error) {
      if (failure === undefined) onFailure(error);
      failure ??= { error };
    }
  }
  return {
    async add(write) {
      const observed = observe(write).finally(() => pending.delete(observed));
      pending.add(observed);
      if (pending.size > max) await observed;
    },
    async settled() {
      await Promise.all(pending);
      if (failure !== undefined) throw failure.error;
    },
  };
}
