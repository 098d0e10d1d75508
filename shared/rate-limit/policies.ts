import type { BucketShape } from './bucket-store.ts';

/** The unit that a policy counts. */
type LimitUnit = 'requests' | 'tokens';

/** One limit on the usage of a caller. */
export interface LimitPolicy extends BucketShape {
  /** As it appears in the RateLimit headers. */
  readonly name: 'rpm' | 'tpm' | 'tpd';
  readonly unit: LimitUnit;
  /** The window in the RateLimit headers. */
  readonly windowSeconds: number;
  readonly code: 'rate_limited' | 'budget_exhausted';
  /** The bucket key of a caller at a given time. */
  keyOf(caller: string, now: number): string;
  /** When the bucket of that time is replaced by a new one, where that is not at its refill. */
  endsAt?(now: number): number;
}

export interface LimitSettings {
  /** 0 disables this limit, and likewise for the others. */
  readonly requestsPerMinute: number;
  readonly tokensPerMinute: number;
  readonly tokensPerDay: number;
}

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;

/** The enabled policies. */
export function policiesOf(settings: LimitSettings): readonly LimitPolicy[] {
  const { requestsPerMinute, tokensPerMinute, tokensPerDay } = settings;
  const policies = [
    perMinute('rpm', { unit: 'requests', capacity: requestsPerMinute }),
    perMinute('tpm', { unit: 'tokens', capacity: tokensPerMinute }),
    dailyBudget(tokensPerDay),
  ];
  return policies.filter(({ capacity }) => capacity > 0);
}

/**
 * Refills the whole bucket once a minute instead of continuously: a caller that uses everything
 * gets exactly the limit, however long the burst lasts.
 */
function perMinute(
  name: 'rpm' | 'tpm',
  { unit, capacity }: { unit: LimitUnit; capacity: number },
): LimitPolicy {
  return {
    name,
    unit,
    capacity,
    intervalMs: MINUTE_MS,
    windowSeconds: 60,
    code: 'rate_limited',
    keyOf: (caller) => `${name}:${caller}`,
  };
}

/** Tokens for one UTC day. Each day has its own bucket, which does not refill within the day. */
function dailyBudget(capacity: number): LimitPolicy {
  return {
    name: 'tpd',
    unit: 'tokens',
    capacity,
    intervalMs: 2 * DAY_MS,
    windowSeconds: DAY_MS / 1000,
    code: 'budget_exhausted',
    keyOf: (caller, now) => `tpd:${new Date(now).toISOString().slice(0, 10)}:${caller}`,
    endsAt: (now) => (Math.floor(now / DAY_MS) + 1) * DAY_MS,
  };
}
