import { hashIdentifier } from '../callers/caller.ts';
import type { Clock } from '../clock.ts';
import type { BucketStore } from './memory-bucket-store.ts';
import type { LimitPolicy } from './policies.ts';
import type {
  LimitSource,
  RateLimitRequest,
  PolicyState,
  RateLimiter,
  RateLimitResult,
} from './rate-limiter.ts';
import {
  type BucketRequest,
  takeAll,
  type TakeAllResult,
  adjustAll,
  createReservation,
  toRateLimitError,
  withAmount,
} from './reservation.ts';
import type { Telemetry } from '../telemetry/telemetry.ts';

/** enforce: refuse what is over; observe: let it pass and say so in the log. */
export type LimitMode = 'enforce' | 'observe';

/** Limits that all instances keep together. */
export interface SharedBuckets {
  readonly bucketsOf: (policy: LimitPolicy) => BucketStore;
  /** Bounds the time of a call, and rejects at once while the store is known to be away. */
  readonly guard: <T>(work: () => Promise<T>) => Promise<T>;
  readonly state: () => 'ready' | 'away';
}

export interface RateLimiterOptions {
  readonly policies: readonly LimitPolicy[];
  readonly mode: LimitMode;
  readonly localBucketsOf: (policy: LimitPolicy) => BucketStore;
  /** Without it each instance keeps the limits for itself. */
  readonly shared?: SharedBuckets | undefined;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
}

/** How much of a hashed caller id a log line shows: enough to tell callers apart. */
const LOGGED_ID_CHARS = 12;

/**
 * Every request passes the buckets of this instance first, and then those that all instances share.
 * So the limit of one instance is never exceeded, whatever becomes of the shared store: when that
 * fails, the verdict that was already reached stands.
 */
export function createRateLimiter(options: RateLimiterOptions): RateLimiter {
  const { policies, mode, shared, clock } = options;
  const localStores = new Map(policies.map((policy) => [policy, options.localBucketsOf(policy)]));
  const sharedStores = new Map(policies.map((policy) => [policy, shared?.bucketsOf(policy)]));

  async function claimShared(claims: readonly BucketRequest[]): Promise<TakeAllResult | undefined> {
    if (shared === undefined || claims.length === 0) return undefined;
    try {
      return await shared.guard(() => takeAll(sharedStores, claims));
    } catch {
      // The guard has said so in the log, and `state` tells it to readiness.
      return undefined;
    }
  }

  async function correctShared(claims: readonly BucketRequest[]): Promise<void> {
    if (shared === undefined || claims.length === 0) return;
    // What cannot be given back is missing until the bucket fills up: strict, never loose.
    await shared.guard(() => adjustAll(sharedStores, claims)).catch(() => undefined);
  }

  async function reserve({ callerId, tokens }: RateLimitRequest): Promise<RateLimitResult> {
    const caller = hashIdentifier(callerId);
    const now = clock.now();
    const claims = policies.map((policy) => bucketRequestOf(policy, { caller, tokens, now }));
    const local = await takeAll(localStores, claims);
    // In observe mode what is over the limit here may still be within it there.
    const isOver = local.refused.length > 0 && mode === 'enforce';
    const far = isOver ? undefined : await claimShared(local.granted);
    const source = sourceOf(options, { asked: !isOver, answered: far !== undefined });
    const refused = [...local.refused, ...(far?.refused ?? [])];
    const states = statesOf(local, far);
    if (refused.length > 0 && mode === 'enforce') {
      await adjustAll(localStores, local.granted.map(inverse));
      // Nobody waits for this: the caller is refused in any case.
      if (far !== undefined) void correctShared(far.granted.map(inverse));
      return { allowed: false, states, source, refusal: toRateLimitError(refused, now) };
    }
    for (const { claim } of refused) logWouldRefuse(options, { claim, caller });
    const reservation = createReservation({
      correctLocal: (claims) => adjustAll(localStores, claims),
      correctShared,
      localClaims: local.granted,
      sharedClaims: far?.granted ?? [],
    });
    return { allowed: true, states, source, reservation };
  }

  return { reserve, state: () => shared?.state() ?? 'ready' };
}

function bucketRequestOf(
  policy: LimitPolicy,
  { caller, tokens, now }: { caller: string; tokens: number; now: number },
): BucketRequest {
  const amount = policy.unit === 'requests' ? 1 : Math.max(0, Math.ceil(tokens));
  return { policy, key: policy.keyOf(caller, now), amount, endsAt: policy.endsAt?.(now) };
}

function inverse(claim: BucketRequest): BucketRequest {
  return withAmount(claim, -claim.amount);
}

/** What is left of a policy is what the stricter of both stores says. */
function statesOf(local: TakeAllResult, far: TakeAllResult | undefined): PolicyState[] {
  return local.states.map((state) => {
    const other = far?.states.find(({ policy }) => policy === state.policy);
    return other !== undefined && other.remaining <= state.remaining ? other : state;
  });
}

function sourceOf(
  { shared }: RateLimiterOptions,
  { asked, answered }: { asked: boolean; answered: boolean },
): LimitSource {
  if (shared === undefined) return 'local';
  if (answered) return 'shared';
  return asked || shared.state() === 'away' ? 'fallback' : 'local';
}

function logWouldRefuse(
  { telemetry }: RateLimiterOptions,
  { claim, caller }: { claim: BucketRequest; caller: string },
): void {
  telemetry.info('rate limit would refuse', {
    policy: claim.policy.name,
    amount: claim.amount,
    caller: caller.slice(0, LOGGED_ID_CHARS),
  });
}

/** The same limiter, whose verdicts are counted. Never by caller: there is no end of those. */
export function withMetrics(limiter: RateLimiter, telemetry: Telemetry): RateLimiter {
  return {
    ...limiter,
    async reserve(need) {
      const verdict = await limiter.reserve(need);
      const outcome = verdict.allowed ? 'allowed' : verdict.refusal.code;
      telemetry.count('limiterVerdicts', 1, { outcome });
      return verdict;
    },
  };
}
