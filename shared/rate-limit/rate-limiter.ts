import { LRUCache } from 'lru-cache';
import type { Clock } from '../clock.ts';
import type { ServiceError } from '../errors.ts';

/** enforce: refuse requests over a limit; observe: allow them and log. */
export type LimitMode = 'enforce' | 'observe';

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
  /** True for batch items: only the daily budget applies, because batch paces them itself. */
  readonly isBackground?: boolean;
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

interface RateLimitHeadersOptions {
  readonly mode: LimitMode;
  /** Milliseconds since the epoch. */
  readonly now: number;
}

/**
 * The rate limit headers of a response: those of the IETF draft and those that OpenAI clients read.
 * None in observe mode, because the limits are not enforced.
 */
export function rateLimitHeaders(
  result: RateLimitResult,
  { mode, now }: RateLimitHeadersOptions,
): Record<string, string> {
  const { states, source } = result;
  if (mode === 'observe' || states.length === 0) return {};
  const headers: Record<string, string> = {
    'ratelimit-policy': states.map(formatPolicy).join(', '),
    ratelimit: states.map((state) => formatState(state, now)).join(', '),
  };
  for (const state of states) Object.assign(headers, openAiHeaders(state, now));
  if (source === 'fallback') headers['x-ratelimit-policy'] = 'local';
  if (!result.allowed && result.error.retryAfterSeconds !== undefined) {
    headers['retry-after'] = String(result.error.retryAfterSeconds);
  }
  return headers;
}

function formatPolicy({ policy }: PolicyState): string {
  const unit = policy.unit === 'requests' ? '' : `;qu="${policy.unit}"`;
  return `"${policy.name}";q=${policy.capacity}${unit};w=${policy.windowSeconds}`;
}

function formatState({ policy, remaining, resetAt }: PolicyState, now: number): string {
  return `"${policy.name}";r=${Math.floor(remaining)};t=${secondsUntil(resetAt, now)}`;
}

/** OpenAI's headers hold one limit of each unit: the one per minute. */
function openAiHeaders({ policy, remaining, resetAt }: PolicyState, now: number): object {
  if (policy.name === 'tpd') return {};
  return {
    [`x-ratelimit-limit-${policy.unit}`]: String(policy.capacity),
    [`x-ratelimit-remaining-${policy.unit}`]: String(Math.floor(remaining)),
    [`x-ratelimit-reset-${policy.unit}`]: `${secondsUntil(resetAt, now)}s`,
  };
}

function secondsUntil(resetAt: number, now: number): number {
  return Math.max(0, Math.ceil((resetAt - now) / 1000));
}

/** How the buckets of one policy fill. */
export interface BucketShape {
  /** Tokens in a full bucket; also the refill at the end of each interval. */
  readonly capacity: number;
  readonly intervalMs: number;
}

/** The result of one attempt to take tokens from a bucket. */
export interface TakeResult {
  readonly taken: boolean;
  /** Tokens left, never below 0. */
  readonly remaining: number;
  /** When a refused attempt can succeed, else the next refill; in milliseconds since the epoch. */
  readonly resetAt: number;
}

/** The token buckets of one policy, one for each key, full at first. */
export interface BucketStore {
  /** Takes the whole amount or nothing. */
  take(key: string, amount: number): Promise<TakeResult>;
  /** Corrects an earlier amount: a negative amount is refunded, a positive one is charged. */
  adjust(key: string, amount: number): Promise<void>;
}

interface MemoryBucketsOptions extends BucketShape {
  /** The least recently used bucket is evicted first; its caller starts with a full one again. */
  readonly maxKeys: number;
  readonly clock: Clock;
}

interface MemoryBuckets extends BucketStore {
  /** Number of buckets in memory. */
  size(): number;
}

interface Bucket {
  readonly refilledAt: number;
  /** Negative if more was used than was reserved. */
  readonly tokens: number;
  /** The bucket is full again at this time, so it can be dropped. */
  readonly fullAt: number;
}

interface TakeAttempt {
  readonly taken: boolean;
  readonly amount: number;
}

/**
 * The buckets of one policy in this process, with the arithmetic of the Redis script. Unlike Redis
 * it records debt: usage above the reservation delays the caller's next requests.
 */
export function createMemoryBuckets(options: MemoryBucketsOptions): MemoryBuckets {
  const { capacity, intervalMs, maxKeys, clock } = options;
  const buckets = new LRUCache<string, Bucket>({ max: maxKeys });

  function read(key: string, now: number): Bucket {
    const bucket = buckets.get(key);
    if (bucket === undefined || now >= bucket.fullAt) {
      return { refilledAt: now, tokens: capacity, fullAt: now };
    }
    // After the clock was set back, refills would otherwise stop until it has caught up.
    if (now < bucket.refilledAt) return { ...bucket, refilledAt: now };
    const refills = Math.floor((now - bucket.refilledAt) / intervalMs);
    if (refills === 0) return bucket;
    const tokens = Math.min(capacity, bucket.tokens + refills * capacity);
    return { ...bucket, refilledAt: bucket.refilledAt + refills * intervalMs, tokens };
  }

  function write(key: string, bucket: Omit<Bucket, 'fullAt'>): Bucket {
    const refills = Math.max(1, Math.ceil((capacity - bucket.tokens) / capacity));
    const stored = { ...bucket, fullAt: clock.now() + refills * intervalMs };
    buckets.set(key, stored);
    return stored;
  }

  function toResult(bucket: Bucket, { taken, amount }: TakeAttempt): TakeResult {
    const missing = taken ? 0 : amount - bucket.tokens;
    const refills = Math.max(1, Math.ceil(missing / capacity));
    return {
      taken,
      remaining: Math.max(0, bucket.tokens),
      resetAt: bucket.refilledAt + refills * intervalMs,
    };
  }

  return {
    async take(key, amount) {
      const bucket = read(key, clock.now());
      const taken = amount <= 0 || bucket.tokens >= amount;
      const tokens = taken ? Math.min(capacity, bucket.tokens - amount) : bucket.tokens;
      return toResult(write(key, { refilledAt: bucket.refilledAt, tokens }), { taken, amount });
    },
    async adjust(key, amount) {
      const { refilledAt, tokens } = read(key, clock.now());
      write(key, { refilledAt, tokens: Math.min(capacity, tokens - amount) });
    },
    size: () => buckets.size,
  };
}
