import type { Lead, SingleFlight } from './single-flight.ts';

/** What became of a request that asked for the one call of its key. */
export type Followed<T> =
  | { readonly kind: 'value'; readonly value: T }
  | { readonly kind: 'lead'; readonly lead: Lead<T> }
  /** Make the call without telling anybody: what the others got cannot be shared. */
  | { readonly kind: 'alone' };

/**
 * Leads the call of a key, or waits for whoever does. A failure is passed on only to those who were
 * there when the call began; whoever came later tries again, so nobody gets a stale error, and a
 * failing upstream still sees one call at a time.
 */
export async function leadOrFollow<T>(
  flights: SingleFlight<T>,
  { key, signal }: { key: string; signal: AbortSignal },
): Promise<Followed<T>> {
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
