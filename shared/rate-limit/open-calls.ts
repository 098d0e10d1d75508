import { ServiceError } from '../errors.ts';

export interface OpenCallLimits {
  /** Calls of one caller that may be open at once in this instance; 0 disables the limit. */
  readonly maxPerCaller: number;
  /** Calls of all callers that may be open at once in this instance. */
  readonly maxTotal: number;
  /** Calls that may wait for a slot. One caller may use a quarter of them. */
  readonly maxQueued: number;
  /** Time limit of the wait. */
  readonly queueTimeoutMs: number;
}

/** Bounds the calls that are open at once, so that no caller can occupy the instance. */
export interface OpenCalls {
  /**
   * Waits for a slot. The returned function releases it; later calls of it are ignored.
   * @throws ServiceError rate_limited or overloaded, or the reason of the signal
   */
  acquire(callerId: string, signal: AbortSignal): Promise<() => void>;
}

/** The wait is short, and a slot may be free at any moment. */
const RETRY_AFTER_SECONDS = 1;
/** The part of the queue that one caller may use. */
const QUEUE_SHARE = 1 / 4;

interface Pool {
  readonly limits: OpenCallLimits;
  /** In the order in which they are served next. */
  readonly callers: Map<string, CallerSlots>;
  open: number;
  queued: number;
}

interface CallerSlots {
  readonly callerId: string;
  open: number;
  /** Each grants a slot to a waiting call. */
  readonly waiting: ((release: () => void) => void)[];
}

/**
 * Slots for open calls, with a queue that serves callers in turn: a caller with many waiting calls
 * does not delay a caller with one.
 */
export function createOpenCalls(settings: OpenCallLimits): OpenCalls {
  const maxPerCaller = settings.maxPerCaller || Number.POSITIVE_INFINITY;
  const limits = { ...settings, maxPerCaller };
  const pool: Pool = { limits, callers: new Map(), open: 0, queued: 0 };
  return {
    async acquire(callerId, signal) {
      signal.throwIfAborted();
      const caller = pool.callers.get(callerId) ?? { callerId, open: 0, waiting: [] };
      if (caller.open < maxPerCaller && pool.open < limits.maxTotal) return openCall(pool, caller);
      const maxWaiting = Math.ceil(limits.maxQueued * QUEUE_SHARE);
      if (caller.waiting.length >= maxWaiting) throw fullError(pool, caller);
      if (pool.queued >= limits.maxQueued) throw instanceFull();
      return enqueue(pool, { caller, signal });
    },
  };
}

function openCall(pool: Pool, caller: CallerSlots): () => void {
  pool.callers.set(caller.callerId, caller);
  caller.open += 1;
  pool.open += 1;
  let isOpen = true;
  return () => {
    if (!isOpen) return;
    isOpen = false;
    caller.open -= 1;
    pool.open -= 1;
    forgetIdle(pool, caller);
    serveNext(pool);
  };
}

function forgetIdle({ callers }: Pool, { callerId, open, waiting }: CallerSlots): void {
  if (open === 0 && waiting.length === 0) callers.delete(callerId);
}

/** Gives the free slot, if there is one, to the next caller that may use it. */
function serveNext(pool: Pool): void {
  const { limits, callers } = pool;
  if (pool.queued === 0 || pool.open >= limits.maxTotal) return;
  const next = callers
    .values()
    .find(({ open, waiting }) => waiting.length > 0 && open < limits.maxPerCaller);
  const grant = next?.waiting.shift();
  if (next === undefined || grant === undefined) return;
  pool.queued -= 1;
  // To the end of the order: the other callers come first next time.
  callers.delete(next.callerId);
  grant(openCall(pool, next));
}

interface QueuedCall {
  readonly caller: CallerSlots;
  readonly signal: AbortSignal;
}

function enqueue(pool: Pool, { caller, signal }: QueuedCall): Promise<() => void> {
  const { promise, resolve, reject } = Promise.withResolvers<() => void>();
  const timer = setTimeout(() => cancel(fullError(pool, caller)), pool.limits.queueTimeoutMs);
  const onAbort = (): void => cancel(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  pool.callers.set(caller.callerId, caller);
  caller.waiting.push(grant);
  pool.queued += 1;

  function stopWaiting(): void {
    clearTimeout(timer);
    signal.removeEventListener('abort', onAbort);
  }
  function grant(release: () => void): void {
    stopWaiting();
    resolve(release);
  }
  function cancel(reason: unknown): void {
    stopWaiting();
    caller.waiting.splice(caller.waiting.indexOf(grant), 1);
    pool.queued -= 1;
    forgetIdle(pool, caller);
    reject(reason);
  }
  return promise;
}

/** Whose limit a waiting call has met: that of its caller, or that of the instance. */
function fullError({ limits }: Pool, { open }: CallerSlots): ServiceError {
  if (open < limits.maxPerCaller) return instanceFull();
  const message = `Cannot open another call: at most ${limits.maxPerCaller} may be open at once`;
  return new ServiceError('rate_limited', message, { retryAfterSeconds: RETRY_AFTER_SECONDS });
}

function instanceFull(): ServiceError {
  return new ServiceError('overloaded', 'The service is at its limit of open calls', {
    retryAfterSeconds: RETRY_AFTER_SECONDS,
  });
}
