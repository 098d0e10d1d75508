/**
 * Longest wait, unless the model asks for more, before batch tries a model again that had no room
 * for it. So long it may stand still after the model is well, and one try in that time is nothing.
 */
const MAX_BLOCK_MS = 15_000;

export interface ConcurrencyLimiterOptions {
  /** Items that all jobs of this process may have in flight together. */
  readonly max: number;
  /** First wait after a model had no room for anything; doubled while that goes on. */
  readonly firstBlockMs?: number | undefined;
  /** Milliseconds by a clock that never goes back. */
  readonly now?: () => number;
}

/** One item's permission to ask the model. */
export interface ConcurrencyPermit {
  succeeded(): void;
  /**
   * The model had no room. Says whether it had room for others meanwhile, in which case the refusal
   * is this item's own affair.
   */
  throttled(askedSeconds: number | undefined): 'all' | 'alone';
  leave(): void;
}

/**
 * How much batch asks of the model, over all jobs of the process: less at once whenever the model
 * says that it has no room, nothing for a while when it refuses everything, more again as it
 * answers. So people who chat keep what there is, and nobody pays for tries that must fail.
 */
export interface ConcurrencyLimiter {
  /** Waits for a place; undefined when the signal aborts or the pace is blocked. */
  enter(signal: AbortSignal): Promise<ConcurrencyPermit | undefined>;
  /** How long nothing is to be asked; 0 when the way is free. */
  blockedMs(): number;
  load(): ConcurrencyLoad;
}

/** Items in flight at this moment, and how many there may be: none while the pace is blocked. */
export interface ConcurrencyLoad {
  readonly active: number;
  readonly limit: number;
}

export function createConcurrencyLimiter(options: ConcurrencyLimiterOptions): ConcurrencyLimiter {
  const { max, firstBlockMs = 2_000, now = () => performance.now() } = options;
  const waiters = createWaiters();
  let limit = max;
  let active = 0;
  let successes = 0;
  /** Tries that began before the last slowing say nothing about the pace since. */
  let slowedAt = Number.NEGATIVE_INFINITY;
  let gotThrough = true;
  let blockedUntil = Number.NEGATIVE_INFINITY;
  let blocks = 0;

  const blockedMs = (): number => Math.max(0, Math.ceil(blockedUntil - now()));

  function slow(askedSeconds: number | undefined): void {
    // Half of what was asked: half of a limit that is far above it would change nothing.
    limit = Math.max(1, Math.floor(Math.min(limit, active) / 2));
    slowedAt = now();
    const isBlocked = !gotThrough || askedSeconds !== undefined;
    gotThrough = false;
    if (!isBlocked) return;
    const ownMs = Math.min(firstBlockMs * 2 ** blocks, MAX_BLOCK_MS);
    blocks += 1;
    // What comes first after the wait only tries whether there is room again.
    limit = 1;
    blockedUntil = Math.max(blockedUntil, now() + Math.max(ownMs, (askedSeconds ?? 0) * 1_000));
    waiters.wakeAll();
  }

  function ticket(): ConcurrencyPermit {
    const startedAt = now();
    const successesBefore = successes;
    active += 1;
    return {
      succeeded() {
        successes += 1;
        if (startedAt <= slowedAt) return;
        gotThrough = true;
        blocks = 0;
        limit = Math.min(max, limit + 1);
      },
      throttled(askedSeconds) {
        const isAlone = successes > successesBefore;
        if (startedAt > slowedAt) slow(isAlone ? undefined : askedSeconds);
        return isAlone ? 'alone' : 'all';
      },
      leave() {
        active -= 1;
        waiters.wakeAll();
      },
    };
  }

  return {
    blockedMs,
    load: () => ({ active, limit: blockedMs() > 0 ? 0 : limit }),
    async enter(signal) {
      for (;;) {
        if (signal.aborted || blockedMs() > 0) return undefined;
        if (active < limit) return ticket();
        await waiters.nextWake(signal);
      }
    },
  };
}

/** Those who wait for a place. */
function createWaiters() {
  const waiting = new Set<() => void>();
  return {
    wakeAll(): void {
      for (const wake of waiting) wake();
    },
    /** Resolves when all are woken or the signal aborts. */
    nextWake(signal: AbortSignal): Promise<void> {
      const { promise, resolve } = Promise.withResolvers<void>();
      function wake(): void {
        waiting.delete(wake);
        signal.removeEventListener('abort', wake);
        resolve();
      }
      waiting.add(wake);
      signal.addEventListener('abort', wake);
      return promise;
    },
  };
}
