import type { ServiceError } from '../errors.ts';
import type { LimitPolicy } from './policies.ts';

/** Enforces the request and token limits of each caller before anything is spent. */
export interface RateLimiter {
  /** Takes one request and the estimated tokens from the caller's buckets. Never rejects. */
  reserve(request: RateLimitRequest): Promise<RateLimitResult>;
  /** unavailable: a shared store is configured, but this instance enforces the limits alone. */
  state(): 'ready' | 'unavailable';
}

export interface RateLimitRequest {
  /** Any text; only its hash leaves this process. */
  readonly callerId: string;
  /** Upper estimate of the tokens that the request will use. */
  readonly tokens: number;
  /** False for more tokens of a request that is counted already. */
  readonly isCounted?: boolean;
}

/**
 * Where the limits were enforced. shared: together with the other instances; local: in this
 * instance by design; fallback: in this instance while the shared store is unavailable.
 */
export type LimitSource = 'shared' | 'local' | 'fallback';

/** What a caller has left of one policy. */
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
      /** rate_limited, budget_exhausted, or context_too_long if waiting cannot help. */
      readonly error: ServiceError;
    });

/** Tokens taken before a call. Settle it exactly once; later calls are ignored. */
export interface Reservation {
  /** Replaces the estimate by the actual usage. Never rejects. */
  settle(tokens: number): Promise<void>;
  /** Returns all tokens. The request itself stays counted. Never rejects. */
  refund(): Promise<void>;
}
