import type { BucketStore } from './bucket-store.ts';
import type { LimitPolicy } from './policies.ts';
import type { PolicyState } from './rate-limiter.ts';

/** What one request wants of one policy. */
export interface Claim {
  readonly policy: LimitPolicy;
  readonly key: string;
  readonly amount: number;
  /** When the bucket ends for good, where it does. */
  readonly endsAt: number | undefined;
}

export interface RefusedClaim {
  readonly claim: Claim;
  readonly resetAt: number;
}

export interface ClaimOutcome {
  readonly granted: readonly Claim[];
  readonly refused: readonly RefusedClaim[];
  readonly states: readonly PolicyState[];
}

type Stores = ReadonlyMap<LimitPolicy, BucketStore | undefined>;

/** Takes of each bucket what is claimed. What was granted beside a refusal is still taken. */
export async function claimAll(stores: Stores, claims: readonly Claim[]): Promise<ClaimOutcome> {
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
export async function correctAll(stores: Stores, claims: readonly Claim[]): Promise<void> {
  await Promise.all(
    claims
      .filter(({ amount }) => amount !== 0)
      .map(({ policy, key, amount }) => storeOf(stores, policy).correct(key, amount)),
  );
}

/** The same claim on another amount. */
export function withAmount(claim: Claim, amount: number): Claim {
  return { ...claim, amount };
}

function storeOf(stores: Stores, policy: LimitPolicy): BucketStore {
  const store = stores.get(policy);
  if (store === undefined) {
    throw new TypeError(`Cannot limit by policy "${policy.name}": it must have a store`);
  }
  return store;
}
