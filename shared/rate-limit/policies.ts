import type { BucketShape } from './memory-bucket-store.ts';

/** What one request costs a caller under a policy. */
export type LimitUnit = 'requests' | 'tokens';

/** One promise about how much a caller may use. */
export interface LimitPolicy extends BucketShape {
  /** As it appears in the RateLimit headers. */
  readonly name: 'rpm' | 'tpm' | 'tpd';
  readonly unit: LimitUnit;
  /** The window that callers are told. */
  readonly windowSeconds: number;
  readonly code: 'rate_limited' | 'budget_exhausted';
  /** The bucket of a caller at a time. */
  keyOf(caller: string, now: number): string;
  /** When the bucket of that time is of use again, where that is not when it refills. */
  endsAt?(now: number): number;
}

export interface LimitSettings {
  /** 0 turns the limit off; so it does for the others. */
  readonly requestsPerMinute: number;
  readonly tokensPerMinute: number;
  readonly tokensPerDay: number;
}

export const LIMIT_DEFAULTS: LimitSettings = {
  requestsPerMinute: 60,
  tokensPerMinute: 100_000,
  tokensPerDay: 0,
};

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;

/** The policies that are turned on. */
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
 * The bucket fills up once a minute, not drop by drop: a caller who takes all that is there gets
 * exactly the limit and no fraction more, however long the burst lasts.
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

/** Tokens for one day of UTC. Each day has its own bucket, which never fills up within the day. */
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
