/** How a call ended for those who waited for it. */
export type FlightResult<T> =
  | { readonly kind: 'landed'; readonly value: T }
  | { readonly kind: 'failed'; readonly error: unknown }
  /** The leader gave up for reasons of its own, which say nothing about the call. */
  | { readonly kind: 'left' }
  /** The call ended well, but its outcome is for the leader alone. */
  | { readonly kind: 'private' };

/** Leave to make the one call for a key, and the duty to say how it ended. The first word counts. */
export interface FlightLeader<T> {
  end(landing: FlightResult<T>): void;
}

export type JoinedFlight<T> =
  | { readonly role: 'leader'; readonly lead: FlightLeader<T> }
  | { readonly role: 'follower'; readonly landing: Promise<FlightResult<T>> };

/** One call at a time for each key. */
export interface SingleFlight<T> {
  join(key: string): JoinedFlight<T>;
  /** Calls under way. */
  size(): number;
}

export function createSingleFlight<T>(): SingleFlight<T> {
  const flights = new Map<string, Promise<FlightResult<T>>>();
  return {
    join(key) {
      const flight = flights.get(key);
      if (flight !== undefined) return { role: 'follower', landing: flight };
      const { promise, resolve } = Promise.withResolvers<FlightResult<T>>();
      flights.set(key, promise);
      function end(landing: FlightResult<T>): void {
        // Gone before anybody learns of the outcome, so that nobody joins a call that is over.
        if (flights.get(key) === promise) flights.delete(key);
        resolve(landing);
      }
      return { role: 'leader', lead: { end } };
    },
    size: () => flights.size,
  };
}

/** What became of a request that asked for the one call of its key. */
export type CoalescedCall<T> =
  | { readonly kind: 'value'; readonly value: T }
  | { readonly kind: 'lead'; readonly lead: FlightLeader<T> }
  /** Make the call without telling anybody: what the others got cannot be shared. */
  | { readonly kind: 'alone' };

/**
 * Leads the call of a key, or waits for whoever does. A failure is passed on only to those who were
 * there when the call began; whoever came later tries again, so nobody gets a stale error, and a
 * failing upstream still sees one call at a time.
 */
export async function coalesce<T>(
  flights: SingleFlight<T>,
  { key, signal }: { key: string; signal: AbortSignal },
): Promise<CoalescedCall<T>> {
  let wasThere = false;
  for (;;) {
    const joined = flights.join(key);
    if (joined.role === 'leader') return { kind: 'lead', lead: joined.lead };
    const landing = await unlessAborted(joined.landing, signal);
    switch (landing.kind) {
      case 'landed':
        return { kind: 'value', value: landing.value };
      case 'private':
        return { kind: 'alone' };
      case 'failed':
        if (wasThere) throw landing.error;
        break;
      case 'left':
        break;
    }
    // The next call can only begin from here on.
    wasThere = true;
  }
}

/** Waiting ends with the patience of the one who waits; the call goes on for the others. */
function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted();
  return new Promise((resolve, reject) => {
    // eslint-disable-next-line typescript/prefer-promise-reject-errors -- the reason is passed on as it is
    const giveUp = (): void => reject(signal.reason);
    signal.addEventListener('abort', giveUp, { once: true });
    void work.then(resolve, reject).finally(() => signal.removeEventListener('abort', giveUp));
  });
}
