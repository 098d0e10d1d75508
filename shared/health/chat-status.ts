import type { ErrorCode } from '../errors.ts';
import type { PartStatus } from './readiness.ts';

/** What is known of one model endpoint from the calls that were made anyway. */
export interface ObservedEndpoint {
  readonly name: string;
  readonly circuit: 'closed' | 'open' | 'half-open';
  /** Milliseconds since the epoch. */
  readonly coolingDownUntil?: number | undefined;
  readonly lastSuccessAt?: number | undefined;
  readonly lastFailureAt?: number | undefined;
  readonly lastFailureCode?: ErrorCode | undefined;
}

/** Failures that time does not heal: the endpoint is of no use until somebody acts. */
const NEEDS_OPERATOR: ReadonlySet<ErrorCode | undefined> = new Set<ErrorCode>([
  'upstream_auth',
  'upstream_misconfigured',
  'upstream_quota',
]);

/** Judges chat by its endpoints' circuits: a look that costs nothing and calls nobody. */
export function chatStatus(endpoints: readonly ObservedEndpoint[], now: number): PartStatus {
  const usable = endpoints.filter((endpoint) => isUsable(endpoint, now));
  if (usable.length === 0) return { status: 'unready', reason: 'no model endpoint is in use' };
  if (usable.length === endpoints.length) return { status: 'ready' };
  return { status: 'degraded', reason: 'a model endpoint is out of use' };
}

function isUsable(endpoint: ObservedEndpoint, now: number): boolean {
  const { circuit, coolingDownUntil = 0, lastSuccessAt = 0, lastFailureAt = 0 } = endpoint;
  if (NEEDS_OPERATOR.has(endpoint.lastFailureCode) && lastFailureAt >= lastSuccessAt) return false;
  return circuit !== 'open' && coolingDownUntil <= now;
}
