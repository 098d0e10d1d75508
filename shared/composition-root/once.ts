export interface Once<T> {
  (): Promise<T>;
  /** What was made, or undefined when nobody asked or it failed. */
  made(): Promise<T | undefined>;
}

/** Makes a thing when it is first asked for, once for all who ask, and forgets a failure. */
export function once<T>(make: () => Promise<T>): Once<T> {
  let making: Promise<T> | undefined;
  function get(): Promise<T> {
    making ??= make().catch((error: unknown) => {
      making = undefined;
      throw error;
    });
    return making;
  }
  return Object.assign(get, { made: async () => making?.catch(() => undefined) });
}
