/**
 * Longest pause before a batch tries a model again that had no capacity for it, unless the model
 * asks for a longer one. Batch may idle this long after the model recovers; one call per 15 s is
 * negligible load.
 */
const MAX_PAUSE_MS = 15_000;

export interface ConcurrencyLimiterOptions {
  /** Items of all batches of this process that may run at once. */
  readonly max: number;
  /** First pause after the model refused every item; doubled while that continues. */
  readonly firstPauseMs?: number | undefined;
  /** Monotonic time in milliseconds. */
  readonly now?: () => number;
}

/** Permits one item to call the model. */
export interface ConcurrencyPermit {
  succeeded(): void;
  /**
   * Reports that the model had no capacity. Returns `item` if other items succeeded since the permit
   * was acquired, so the throttling concerns this item alone.
   */
  throttled(retryAfterSeconds: number | undefined): 'global' | 'item';
  release(): void;
}

/**
 * Limits the model calls of the items of one batch (AIMD): it halves the limit when the model has no
 * capacity, pauses when the model refuses every item, and raises the limit by one for each success.
 * So chats keep the capacity that there is, and no calls are spent on refusals.
 */
export interface ConcurrencyLimiter {
  /** Waits for a permit; undefined if the signal aborts or the limiter is paused. */
  acquire(signal: AbortSignal): Promise<ConcurrencyPermit | undefined>;
  /** Milliseconds until the pause ends; 0 if there is none. */
  pausedMs(): number;
  load(): ConcurrencyLoad;
}

/** Running items and their limit; the limit is 0 during a pause. */
export interface ConcurrencyLoad {
  readonly active: number;
  readonly limit: number;
}

/**
 * The limiters of all batches of this process. Each batch has its own, so that items which the model
 * always refuses slow down their own batch only; another batch finds out for itself whether the model
 * refuses it too. Together they run at most `max` items.
 */
export interface ConcurrencyLimiters {
  /** Owners share the slots of the process in turn, and the batches of an owner share its slots. */
  forBatch(id: string, owner?: string | null): ConcurrencyLimiter;
  load(): ConcurrencyLoad;
}

/** Batches whose limiter is kept; the least recently used one is dropped. */
const MAX_LIMITERS = 1_000;

export function createConcurrencyLimiters(options: ConcurrencyLimiterOptions): ConcurrencyLimiters {
  const slots = createSlots(options.max);
  const limiters = new Map<string, ConcurrencyLimiter>();
  return {
    forBatch(id, owner) {
      const limiter =
        limiters.get(id) ?? createConcurrencyLimiter({ ...options, owner: owner ?? id, slots });
      limiters.delete(id);
      limiters.set(id, limiter);
      const [oldest = id] = limiters.keys();
      if (limiters.size > MAX_LIMITERS) limiters.delete(oldest);
      return limiter;
    },
    load() {
      const inUse = [...limiters.values()].map((limiter) => limiter.load());
      const limit = inUse.reduce((sum, one) => sum + one.limit, 0);
      return { active: slots.active(), limit: Math.min(options.max, limit) };
    },
  };
}

interface BatchLimiterOptions extends ConcurrencyLimiterOptions {
  readonly owner: string;
  readonly slots: Slots;
}

function createConcurrencyLimiter(options: BatchLimiterOptions): ConcurrencyLimiter {
  const { owner, slots, max, firstPauseMs = 2_000, now = () => performance.now() } = options;
  const waiters = createWaiters();
  const adaptive = createAdaptiveLimit({ max, firstPauseMs, now });
  let active = 0;
  let successes = 0;

  function release(): void {
    active -= 1;
    waiters.resumeAll();
  }

  function createPermit(): ConcurrencyPermit {
    const startedAt = now();
    const successesBefore = successes;
    return {
      succeeded() {
        successes += 1;
        adaptive.increase(startedAt);
      },
      throttled(retryAfterSeconds) {
        const scope = successes > successesBefore ? 'item' : 'global';
        const requested = scope === 'item' ? undefined : retryAfterSeconds;
        if (adaptive.decrease(startedAt, { active, retryAfterSeconds: requested })) {
          waiters.resumeAll();
        }
        return scope;
      },
      release() {
        slots.release();
        release();
      },
    };
  }

  return {
    pausedMs: adaptive.pausedMs,
    load: () => ({ active, limit: adaptive.pausedMs() > 0 ? 0 : adaptive.current() }),
    async acquire(signal) {
      for (;;) {
        if (signal.aborted || adaptive.pausedMs() > 0) return undefined;
        if (active < adaptive.current()) break;
        await waiters.nextChange(signal);
      }
      active += 1;
      const hasSlot = await slots.acquire(owner, signal);
      if (hasSlot && adaptive.pausedMs() === 0) return createPermit();
      if (hasSlot) slots.release();
      release();
      return undefined;
    },
  };
}

interface AdaptiveLimitOptions {
  readonly max: number;
  readonly firstPauseMs: number;
  readonly now: () => number;
}

/** The limit itself: additive increase, multiplicative decrease (AIMD), and pauses. */
function createAdaptiveLimit({ max, firstPauseMs, now }: AdaptiveLimitOptions) {
  let limit = max;
  /** Calls that started before the last decrease carry no information about the limit since. */
  let decreasedAt = Number.NEGATIVE_INFINITY;
  let hasSucceeded = true;
  let pausedUntil = Number.NEGATIVE_INFINITY;
  let pauses = 0;

  function pause(retryAfterSeconds: number): void {
    const backOffMs = Math.min(firstPauseMs * 2 ** pauses, MAX_PAUSE_MS);
    pauses += 1;
    // After the pause a single item tests whether there is capacity again.
    limit = 1;
    pausedUntil = Math.max(pausedUntil, now() + Math.max(backOffMs, retryAfterSeconds * 1_000));
  }

  return {
    current: () => limit,
    pausedMs: (): number => Math.max(0, Math.ceil(pausedUntil - now())),
    increase(startedAt: number): void {
      if (startedAt <= decreasedAt) return;
      hasSucceeded = true;
      pauses = 0;
      limit = Math.min(max, limit + 1);
    },
    /** True if it starts a pause. */
    decrease(
      startedAt: number,
      { active, retryAfterSeconds }: { active: number; retryAfterSeconds: number | undefined },
    ): boolean {
      if (startedAt <= decreasedAt) return false;
      // Half of the items in flight: half of a much higher limit would change nothing.
      limit = Math.max(1, Math.floor(Math.min(limit, active) / 2));
      decreasedAt = now();
      const mustPause = !hasSucceeded || retryAfterSeconds !== undefined;
      hasSucceeded = false;
      if (mustPause) pause(retryAfterSeconds ?? 0);
      return mustPause;
    },
  };
}

/** Places for items of all batches; a free one goes to the owners in turn. */
interface Slots {
  active(): number;
  /** Resolves to false if the signal aborts. */
  acquire(owner: string, signal: AbortSignal): Promise<boolean>;
  release(): void;
}

function createSlots(max: number): Slots {
  const queues = new Map<string, Set<(isGranted: boolean) => void>>();
  let active = 0;

  function removeWaiter(owner: string, waiter: (isGranted: boolean) => void): void {
    const queue = queues.get(owner);
    queue?.delete(waiter);
    if (queue?.size === 0) queues.delete(owner);
  }
  return {
    active: () => active,
    acquire(owner, signal) {
      if (signal.aborted) return Promise.resolve(false);
      if (active < max) {
        active += 1;
        return Promise.resolve(true);
      }
      const { promise, resolve } = Promise.withResolvers<boolean>();
      const onAbort = (): void => waiter(false);
      function waiter(isGranted: boolean): void {
        removeWaiter(owner, waiter);
        signal.removeEventListener('abort', onAbort);
        resolve(isGranted);
      }
      const queue = queues.get(owner) ?? new Set();
      queues.set(owner, queue.add(waiter));
      signal.addEventListener('abort', onAbort);
      return promise;
    },
    release() {
      const [next] = queues;
      if (next === undefined) {
        active -= 1;
        return;
      }
      const [owner, queue] = next;
      const [waiter] = queue;
      // The owner goes to the end of the line.
      queues.delete(owner);
      if (queue.size > 1) queues.set(owner, queue);
      waiter?.(true);
    },
  };
}

/** The items that wait for a permit. */
function createWaiters() {
  const waiting = new Set<() => void>();
  return {
    resumeAll(): void {
      for (const resume of waiting) resume();
    },
    /** Resolves when all waiters resume or the signal aborts. */
    nextChange(signal: AbortSignal): Promise<void> {
      const { promise, resolve } = Promise.withResolvers<void>();
      function resume(): void {
        waiting.delete(resume);
        signal.removeEventListener('abort', resume);
        resolve();
      }
      waiting.add(resume);
      signal.addEventListener('abort', resume);
      return promise;
    },
  };
}
