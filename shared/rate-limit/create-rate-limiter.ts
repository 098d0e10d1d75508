import { hashIdentifier } from '../callers/caller.ts';
import type { Clock } from '../clock.ts';
import type {
  BucketStore,
  LimitMode,
  LimitPolicy,
  LimitSource,
  PolicyState,
  RateLimitRequest,
  RateLimitResult,
  RateLimiter,
} from './rate-limiter.ts';
import {
  adjustAll,
  createReservation,
  takeAll,
  toRateLimitError,
  type BucketRequest,
  type TakeAllResult,
  withAmount,
} from './reservation.ts';
import type { Telemetry } from '../telemetry/telemetry.ts';

/** Buckets that all instances share. */
export interface SharedBuckets {
  readonly bucketsOf: (policy: LimitPolicy) => BucketStore;
  /** Runs a command within its time limit; rejects at once while the store is unavailable. */
  readonly execute: <T>(command: () => Promise<T>) => Promise<T>;
  readonly state: () => 'ready' | 'unavailable';
}

interface RateLimiterOptions {
  readonly policies: readonly LimitPolicy[];
  readonly mode: LimitMode;
  readonly localBucketsOf: (policy: LimitPolicy) => BucketStore;
  /** If undefined, each instance enforces the limits alone. */
  readonly shared?: SharedBuckets | undefined;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
}

/** Characters of a hashed caller id in a log line: enough to tell callers apart. */
const LOGGED_ID_CHARS = 12;

/**
 * Takes from the buckets of this instance first and then from the shared ones. So the limit holds
 * on each instance whatever happens to the shared store: if that fails, the local result counts.
 */
export function createRateLimiter(options: RateLimiterOptions): RateLimiter {
  const { policies, mode, shared, clock } = options;
  const localStores = new Map(policies.map((policy) => [policy, options.localBucketsOf(policy)]));
  const sharedStores = new Map(policies.map((policy) => [policy, shared?.bucketsOf(policy)]));

  async function takeShared(
    requests: readonly BucketRequest[],
  ): Promise<TakeAllResult | undefined> {
    if (shared === undefined || requests.length === 0) return undefined;
    try {
      return await shared.execute(() => takeAll(sharedStores, requests));
    } catch {
      // The circuit has logged the failure, and `state` reports it to readiness.
      return undefined;
    }
  }

  async function adjustShared(requests: readonly BucketRequest[]): Promise<void> {
    if (shared === undefined || requests.length === 0) return;
    // A failed refund is not retried: the tokens return at the next refill, so this errs on the
    // strict side.
    await shared.execute(() => adjustAll(sharedStores, requests)).catch(() => undefined);
  }

  async function reserve(request: RateLimitRequest): Promise<RateLimitResult> {
    const { callerId, tokens, isCounted = true, isBackground = false } = request;
    const caller = hashIdentifier(callerId);
    const now = clock.now();
    const requests = policies
      .filter(({ name }) => !isBackground || name === 'tpd')
      .map((policy) => bucketRequestOf(policy, { caller, tokens, isCounted, now }));
    const local = await takeAll(localStores, requests);
    // In observe mode a request over the local limit may still be within the shared one.
    const isRefusedLocally = local.refused.length > 0 && mode === 'enforce';
    const remote = isRefusedLocally ? undefined : await takeShared(local.granted);
    const source = sourceOf(options, { isRefusedLocally, hasRemote: remote !== undefined });
    const refused = [...local.refused, ...(remote?.refused ?? [])];
    const states = strictestStates(local, remote);
    if (refused.length > 0 && mode === 'enforce') {
      await adjustAll(localStores, local.granted.map(refundOf));
      // Not awaited: it cannot change the refusal.
      if (remote !== undefined) void adjustShared(remote.granted.map(refundOf));
      return { allowed: false, states, source, error: toRateLimitError(refused, now) };
    }
    for (const { request } of refused) logWouldRefuse(options, { request, caller });
    const reservation = createReservation({
      adjustLocal: (changes) => adjustAll(localStores, changes),
      adjustShared,
      localRequests: local.granted,
      sharedRequests: remote?.granted ?? [],
    });
    return { allowed: true, states, source, reservation };
  }

  return { reserve, state: () => shared?.state() ?? 'ready' };
}

interface BucketUsage {
  readonly caller: string;
  readonly tokens: number;
  readonly isCounted: boolean;
  readonly now: number;
}

function bucketRequestOf(
  policy: LimitPolicy,
  { caller, tokens, isCounted, now }: BucketUsage,
): BucketRequest {
  const amount = policy.unit === 'requests' ? Number(isCounted) : Math.max(0, Math.ceil(tokens));
  return { policy, key: policy.keyOf(caller, now), amount, endsAt: policy.endsAt?.(now) };
}

function refundOf(request: BucketRequest): BucketRequest {
  return withAmount(request, -request.amount);
}

/** For each policy, the state of the store that has less left. */
function strictestStates(local: TakeAllResult, remote: TakeAllResult | undefined): PolicyState[] {
  return local.states.map((state) => {
    const other = remote?.states.find(({ policy }) => policy === state.policy);
    return other !== undefined && other.remaining <= state.remaining ? other : state;
  });
}

function sourceOf(
  { shared }: RateLimiterOptions,
  { isRefusedLocally, hasRemote }: { isRefusedLocally: boolean; hasRemote: boolean },
): LimitSource {
  if (shared === undefined) return 'local';
  if (hasRemote) return 'shared';
  return !isRefusedLocally || shared.state() === 'unavailable' ? 'fallback' : 'local';
}

function logWouldRefuse(
  { telemetry }: RateLimiterOptions,
  { request, caller }: { request: BucketRequest; caller: string },
): void {
  telemetry.info('rate limit would refuse', {
    policy: request.policy.name,
    amount: request.amount,
    caller: caller.slice(0, LOGGED_ID_CHARS),
  });
}

/** Adds metrics to a limiter. No caller label: unbounded cardinality. */
export function withMetrics(limiter: RateLimiter, telemetry: Telemetry): RateLimiter {
  return {
    ...limiter,
    async reserve(request) {
      const result = await limiter.reserve(request);
      // A batch item is no request: its batch was counted when it was created.
      if (request.isBackground === true) return result;
      const outcome = result.allowed ? 'allowed' : result.error.code;
      telemetry.count('rateLimitDecisions', 1, { outcome });
      return result;
    },
  };
}
