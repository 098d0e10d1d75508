/**
 * Runs the tasks with at most `width` at once and starts the next as soon as one ends, so that a
 * slow task holds up nobody. Takes no further task once `isClosed` says so. Rejects with the first
 * failure after all that was started has ended.
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
