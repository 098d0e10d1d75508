import { raceAbort } from '../resilience/abort.ts';

/** How a shared call ended. */
export type SharedCallResult<T> =
  | { readonly kind: 'value'; readonly value: T }
  | { readonly kind: 'error'; readonly error: unknown }
  /** The leader stopped for reasons of its own, such as a disconnected client. */
  | { readonly kind: 'abandoned' }
  /** The call succeeded, but its result must not be shared. */
  | { readonly kind: 'uncacheable' };

/** Held by the request that makes the call for a key. Must be settled; later calls are ignored. */
export interface CallLeader<T> {
  settle(result: SharedCallResult<T>): void;
}

type JoinedCall<T> =
  | { readonly role: 'leader'; readonly leader: CallLeader<T> }
  | { readonly role: 'follower'; readonly result: Promise<SharedCallResult<T>> };

type SingleFlight<T> = ReturnType<typeof createSingleFlight<T>>;

/** Allows one call at a time for each key. */
export function createSingleFlight<T>() {
  const inFlight = new Map<string, Promise<SharedCallResult<T>>>();
  return {
    join(key: string): JoinedCall<T> {
      const current = inFlight.get(key);
      if (current !== undefined) return { role: 'follower', result: current };
      const { promise, resolve } = Promise.withResolvers<SharedCallResult<T>>();
      inFlight.set(key, promise);
      function settle(result: SharedCallResult<T>): void {
        // Removed first, so that no request joins a call that has ended.
        if (inFlight.get(key) === promise) inFlight.delete(key);
        resolve(result);
      }
      return { role: 'leader', leader: { settle } };
    },
    /** Number of calls in flight. */
    size: () => inFlight.size,
  };
}

/** The outcome of `coalesce` for one request. */
type CoalescedCall<T> =
  | { readonly kind: 'value'; readonly value: T }
  | { readonly kind: 'leader'; readonly leader: CallLeader<T> }
  /** Make a separate call: the result of the shared call must not be shared. */
  | { readonly kind: 'uncacheable' };

/**
 * Becomes the leader for a key or waits for the current one. An error reaches only the requests
 * that joined before the call started; later requests try again. So no request gets the error of
 * an older call, and a failing endpoint still sees one call at a time for each key.
 */
export async function coalesce<T>(
  calls: SingleFlight<T>,
  { key, signal }: { key: string; signal: AbortSignal },
): Promise<CoalescedCall<T>> {
  let joinedBeforeStart = false;
  for (;;) {
    const joined = calls.join(key);
    if (joined.role === 'leader') return { kind: 'leader', leader: joined.leader };
    // An aborted request stops waiting; the shared call continues for the others.
    const result = await raceAbort(joined.result, signal);
    switch (result.kind) {
      case 'value':
      case 'uncacheable':
        return result;
      case 'error':
        if (joinedBeforeStart) throw result.error;
        break;
      case 'abandoned':
        break;
    }
    // Any further call for this key starts after this point.
    joinedBeforeStart = true;
  }
}
