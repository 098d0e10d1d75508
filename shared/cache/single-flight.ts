/** How a call ended for those who waited for it. */
export type Landing<T> =
  | { readonly kind: 'landed'; readonly value: T }
  | { readonly kind: 'failed'; readonly error: unknown }
  /** The leader gave up for reasons of its own, which say nothing about the call. */
  | { readonly kind: 'left' }
  /** The call ended well, but its outcome is for the leader alone. */
  | { readonly kind: 'private' };

/** Leave to make the one call for a key, and the duty to say how it ended. The first word counts. */
export interface Lead<T> {
  end(landing: Landing<T>): void;
}

export type Joined<T> =
  | { readonly role: 'leader'; readonly lead: Lead<T> }
  | { readonly role: 'follower'; readonly landing: Promise<Landing<T>> };

/** One call at a time for each key. */
export interface SingleFlight<T> {
  join(key: string): Joined<T>;
  /** Calls under way. */
  size(): number;
}

export function createSingleFlight<T>(): SingleFlight<T> {
  const flights = new Map<string, Promise<Landing<T>>>();
  return {
    join(key) {
      const flight = flights.get(key);
      if (flight !== undefined) return { role: 'follower', landing: flight };
      const { promise, resolve } = Promise.withResolvers<Landing<T>>();
      flights.set(key, promise);
      function end(landing: Landing<T>): void {
        // Gone before anybody learns of the outcome, so that nobody joins a call that is over.
        if (flights.get(key) === promise) flights.delete(key);
        resolve(landing);
      }
      return { role: 'leader', lead: { end } };
    },
    size: () => flights.size,
  };
}
