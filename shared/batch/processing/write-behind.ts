export interface WriteBehindOptions {
  /** Writes that may be on their way while the work goes on. */
  readonly max: number;
  /** Told of the first failure at once: what follows cannot be kept either. */
  readonly onFailure: (error: unknown) => void;
}

/** Lets work go on while its last results are being written, up to a bound. */
export interface WriteBehind {
  /** Resolves when the work may go on; never rejects. */
  add(write: Promise<void>): Promise<void>;
  /** Resolves when everything is written; rejects with the first failure. */
  settled(): Promise<void>;
}

export function createWriteBehind({ max, onFailure }: WriteBehindOptions): WriteBehind {
  const open = new Set<Promise<void>>();
  let failure: { readonly error: unknown } | undefined;
  async function watch(write: Promise<void>): Promise<void> {
    try {
      await write;
    } catch (error) {
      if (failure === undefined) onFailure(error);
      failure ??= { error };
    }
  }
  return {
    async add(write) {
      const watched = watch(write).finally(() => open.delete(watched));
      open.add(watched);
      if (open.size > max) await watched;
    },
    async settled() {
      await Promise.all(open);
      if (failure !== undefined) throw failure.error;
    },
  };
}
