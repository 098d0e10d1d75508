import { ServiceError } from '../errors.ts';
import type { BucketStore } from './memory-bucket-store.ts';
import type { LimitPolicy } from './policies.ts';
import type { PolicyState, Reservation } from './rate-limiter.ts';

export interface ReservationOptions {
  readonly localClaims: readonly BucketRequest[];
  readonly sharedClaims: readonly BucketRequest[];
  readonly correctLocal: (claims: readonly BucketRequest[]) => Promise<void>;
  readonly correctShared: (claims: readonly BucketRequest[]) => Promise<void>;
}

/** Remembers what was taken where, until somebody says what was used of it. */
export function createReservation(options: ReservationOptions): Reservation {
  const { localClaims, sharedClaims, correctLocal, correctShared } = options;
  let open = true;

  async function settle(used: number): Promise<void> {
    if (!open) return;
    open = false;
    await Promise.all([
      correctLocal(differences(localClaims, used)),
      correctShared(differences(sharedClaims, used)),
    ]);
  }

  return { settle, refund: () => settle(0) };
}

/** Only tokens are corrected: a request that failed was still a request. */
function differences(claims: readonly BucketRequest[], used: number): BucketRequest[] {
  const tokens = Number.isFinite(used) ? Math.max(0, Math.ceil(used)) : undefined;
  return claims
    .filter(({ policy }) => policy.unit === 'tokens')
    .map((claim) => withAmount(claim, (tokens ?? claim.amount) - claim.amount))
    .filter(({ amount }) => amount !== 0);
}

/** The failure that a caller sees for what was refused: of several, the one that lasts longest. */
export function toRateLimitError(refused: readonly RefusedRequest[], now: number): ServiceError {
  const tooLarge = refused.find(({ claim }) => claim.amount > claim.policy.capacity);
  if (tooLarge !== undefined) return exceedsCapacity(tooLarge);
  const last = refused.reduce((a, b) => (b.resetAt > a.resetAt ? b : a));
  const { code, unit, capacity } = last.claim.policy;
  const retryAfterSeconds = Math.max(1, Math.ceil((last.resetAt - now) / 1000));
  const message =
    code === 'budget_exhausted'
      ? `The budget of ${capacity} tokens for this day is used up`
      : `The limit of ${capacity} ${unit} per minute is reached`;
  return new ServiceError(code, message, { retryAfterSeconds });
}

/** Waiting would not help, so this one must not invite a retry. */
function exceedsCapacity({ claim }: RefusedRequest): ServiceError {
  const { capacity, windowSeconds } = claim.policy;
  const window = windowSeconds === 60 ? 'minute' : 'day';
  return new ServiceError(
    'context_too_long',
    `Cannot take a request of about ${claim.amount} tokens: the limit is ${capacity} per ${window}, ` +
      'the answer included',
  );
}

/** What one request wants of one policy. */
export interface BucketRequest {
  readonly policy: LimitPolicy;
  readonly key: string;
  readonly amount: number;
  /** When the bucket ends for good, where it does. */
  readonly endsAt: number | undefined;
}

export interface RefusedRequest {
  readonly claim: BucketRequest;
  readonly resetAt: number;
}

export interface TakeAllResult {
  readonly granted: readonly BucketRequest[];
  readonly refused: readonly RefusedRequest[];
  readonly states: readonly PolicyState[];
}

type Stores = ReadonlyMap<LimitPolicy, BucketStore | undefined>;

/** Takes of each bucket what is claimed. What was granted beside a refusal is still taken. */
export async function takeAll(
  stores: Stores,
  claims: readonly BucketRequest[],
): Promise<TakeAllResult> {
  const taken = await Promise.all(
    claims.map(async (claim) => {
      const { policy, key, amount, endsAt } = claim;
      const found = await storeOf(stores, policy).take(key, amount);
      return { claim, ...found, resetAt: endsAt ?? found.resetAt };
    }),
  );
  return {
    granted: taken.filter((one) => one.taken).map(({ claim }) => claim),
    refused: taken.filter((one) => !one.taken),
    states: taken.map(({ claim, remaining, resetAt }) => ({
      policy: claim.policy,
      remaining,
      resetAt,
    })),
  };
}

/** Adds the amounts to what was taken before; below 0 gives back. */
export async function adjustAll(stores: Stores, claims: readonly BucketRequest[]): Promise<void> {
  await Promise.all(
    claims
      .filter(({ amount }) => amount !== 0)
      .map(({ policy, key, amount }) => storeOf(stores, policy).correct(key, amount)),
  );
}

/** The same claim on another amount. */
export function withAmount(claim: BucketRequest, amount: number): BucketRequest {
  return { ...claim, amount };
}

function storeOf(stores: Stores, policy: LimitPolicy): BucketStore {
  const store = stores.get(policy);
  if (store === undefined) {
    throw new TypeError(`Cannot limit by policy "${policy.name}": it must have a store`);
  }
  return store;
}
