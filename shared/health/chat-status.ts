import type { PartStatus } from './readiness.ts';

/** What is known of one model endpoint from the calls that were made anyway. */
export interface ObservedEndpoint {
  readonly name: string;
  readonly circuit: 'closed' | 'open' | 'half-open';
  /** Milliseconds since the epoch. */
  readonly coolingDownUntil?: number | undefined;
}

/** Judges chat by its endpoints' circuits: a look that costs nothing and calls nobody. */
export function chatStatus(endpoints: readonly ObservedEndpoint[], now: number): PartStatus {
  const usable = endpoints.filter(
    ({ circuit, coolingDownUntil = 0 }) => circuit !== 'open' && coolingDownUntil <= now,
  );
  if (usable.length === 0) return { status: 'unready', reason: 'no model endpoint is in use' };
  if (usable.length === endpoints.length) return { status: 'ready' };
  return { status: 'degraded', reason: 'a model endpoint is out of use' };
}
