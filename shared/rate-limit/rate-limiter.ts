import type { ServiceError } from '../errors.ts';
import type { LimitPolicy } from './policies.ts';

/** Keeps each caller within its requests and tokens, before they are spent. */
export interface RateLimiter {
  /** Takes one request and the estimated tokens out of the caller's buckets. Never rejects. */
  reserve(need: RateLimitRequest): Promise<RateLimitResult>;
  /** away while limits are kept by this instance alone although a shared store is configured. */
  state(): 'ready' | 'away';
}

export interface RateLimitRequest {
  /** Any text; only its hash leaves this process. */
  readonly callerId: string;
  /** Upper estimate of what the request will use. */
  readonly tokens: number;
}

/** shared: agreed with the other instances; local: kept here by design; fallback: here for now. */
export type LimitSource = 'shared' | 'local' | 'fallback';

/** How much of a policy a caller has left. */
export interface PolicyState {
  readonly policy: LimitPolicy;
  readonly remaining: number;
  /** Milliseconds since the epoch. */
  readonly resetAt: number;
}

interface RateLimitResultBase {
  readonly states: readonly PolicyState[];
  readonly source: LimitSource;
}

export type RateLimitResult =
  | (RateLimitResultBase & { readonly allowed: true; readonly reservation: Reservation })
  | (RateLimitResultBase & {
      readonly allowed: false;
      /** rate_limited, budget_exhausted, or context_too_long where waiting cannot help. */
      readonly refusal: ServiceError;
    });

/** What was taken and is not yet accounted for. The first call counts, later ones do nothing. */
export interface Reservation {
  /** Puts the real usage in the place of the estimate. Never rejects. */
  settle(tokens: number): Promise<void>;
  /** Gives the tokens back: nothing was used. The request stays counted. Never rejects. */
  refund(): Promise<void>;
}
