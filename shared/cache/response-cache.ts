import {
  type CacheControl,
  type CacheStatus,
  type CandidateResponse,
  type ForwardReason,
  isCacheable,
  type RequestTraits,
  toStoredResponse,
} from './cache-headers.ts';
import {
  type CacheEntry,
  cacheKey,
  type CacheKeyInput,
  type CacheStore,
  type StoredResponse,
} from './cache-store.ts';
import type { Clock } from '../clock.ts';
import { raceAbort } from '../resilience/abort.ts';
import type { Telemetry } from '../telemetry/telemetry.ts';

/** Serves stored responses and lets identical concurrent requests share one model call. */
export interface ResponseCache {
  /**
   * Rejects only with the signal's reason, or with the error of a shared call that this request
   * joined before it started.
   */
  lookup(request: CacheLookup): Promise<LookupResult>;
  /** Totals since the process started. */
  counts(): CacheCounts;
}

export interface CacheLookup {
  readonly parts: CacheKeyInput;
  readonly traits: RequestTraits;
  readonly control: CacheControl;
  /** Ends the wait for the response of another request. */
  readonly signal: AbortSignal;
  /** Logs each decision at debug level, without any content. */
  readonly telemetry: Telemetry;
}

export type LookupResult =
  | { readonly kind: 'hit'; readonly response: StoredResponse; readonly status: CacheStatus }
  | { readonly kind: 'miss'; readonly fill: CacheFill; readonly status: CacheStatus };

/** Handle for a cache miss. Settle it exactly once; other requests may wait. Later calls are ignored. */
interface CacheFill {
  /** The response is complete: shares and stores it if it is cacheable. Never rejects. */
  store(candidate: CandidateResponse): Promise<CacheStatus>;
  /** The call failed in a way that concerns every waiting request. */
  fail(error: unknown): void;
  /** The client disconnected or its deadline passed: a waiting request makes the call instead. */
  abandon(): void;
}

interface ResponseCacheOptions {
  readonly store: CacheStore;
  readonly ttlMs: number;
  readonly clock: Clock;
}

export function createResponseCache(options: ResponseCacheOptions): ResponseCache {
  const { store, clock } = options;
  const calls = createSingleFlight<SharedEntry>();
  const counter = createCacheCounter();

  function hit({ entry, isNew }: SharedEntry, { telemetry }: CacheLookup): LookupResult {
    counter.recordHit(isNew ? 'collapsed' : 'hits', entry.response.usage);
    const ttlSeconds = Math.max(0, Math.floor((entry.expiresAt - clock.now()) / 1000));
    const status: CacheStatus = isNew ? { kind: 'collapsed' } : { kind: 'hit', ttlSeconds };
    telemetry.debug('cache lookup', { outcome: status.kind, ttlSeconds });
    return { kind: 'hit', response: entry.response, status };
  }

  function miss(reason: ForwardReason, target: FillTarget): LookupResult {
    counter.recordForward(reason);
    target.telemetry.debug('cache lookup', { outcome: reason });
    const onStored = (): void => counter.recordStored();
    const fill = createCacheFill({ ...options, ...target, reason, onStored });
    return { kind: 'miss', fill, status: { kind: 'forward', reason } };
  }

  function isYoungEnough({ storedAt }: CacheEntry, { maxAgeSeconds }: CacheControl): boolean {
    return maxAgeSeconds === undefined || clock.now() - storedAt <= maxAgeSeconds * 1000;
  }

  async function lookup(request: CacheLookup): Promise<LookupResult> {
    const { control, signal, telemetry } = request;
    if (!isCacheable(request.traits)) return miss('bypass', { telemetry });
    if (control.noStore) return miss('request', { telemetry });
    const key = cacheKey(request.parts);
    if (control.noCache) return miss('request', { telemetry, key });
    // Before the store is read, so that identical requests cause one read and one model call.
    const call = await coalesce(calls, { key, signal });
    if (call.kind === 'uncacheable') return miss('miss', { telemetry, key });
    if (call.kind === 'value') {
      return isYoungEnough(call.value.entry, control)
        ? hit(call.value, request)
        : miss('stale', { telemetry, key });
    }
    const target = { telemetry, key, leader: call.leader };
    const entry = await store.get(key).catch(() => undefined);
    if (entry === undefined) return miss('miss', target);
    if (!isYoungEnough(entry, control)) return miss('stale', target);
    const shared: SharedEntry = { entry, isNew: false };
    call.leader.settle({ kind: 'value', value: shared });
    return hit(shared, request);
  }

  return { lookup, counts: () => counter.counts() };
}

/** An entry that several requests share. */
interface SharedEntry {
  readonly entry: CacheEntry;
  /** Created by the shared call, as opposed to read from the store. */
  readonly isNew: boolean;
}

interface FillTarget {
  readonly telemetry: Telemetry;
  /** Undefined if the response must not be stored. */
  readonly key?: string;
  /** Undefined if no other request can wait for this call. */
  readonly leader?: CallLeader<SharedEntry>;
}

interface CacheFillOptions extends ResponseCacheOptions, FillTarget {
  readonly reason: ForwardReason;
  readonly onStored: () => void;
}

function createCacheFill(options: CacheFillOptions): CacheFill {
  const { reason, key, leader, telemetry } = options;
  let isSettled = false;

  function settle(result: SharedCallResult<SharedEntry>): void {
    isSettled = true;
    leader?.settle(result);
  }

  async function store(candidate: CandidateResponse): Promise<CacheStatus> {
    const response = key === undefined || isSettled ? undefined : toStoredResponse(candidate);
    if (key === undefined || response === undefined) {
      settle({ kind: 'uncacheable' });
      telemetry.debug('cache fill', { stored: false });
      return { kind: 'forward', reason, stored: false };
    }
    const storedAt = options.clock.now();
    const entry: CacheEntry = { response, storedAt, expiresAt: storedAt + options.ttlMs };
    settle({ kind: 'value', value: { entry, isNew: true } });
    const stored = await options.store.set(key, entry).catch(() => false);
    if (stored) options.onStored();
    telemetry.debug('cache fill', { stored });
    return { kind: 'forward', reason, stored };
  }

  return {
    store,
    fail: (error) => settle({ kind: 'error', error }),
    abandon: () => settle({ kind: 'abandoned' }),
  };
}

/** Totals since the process started. */
interface CacheCounts {
  readonly hits: number;
  readonly collapsed: number;
  readonly misses: number;
  /** Requests that did not read the cache, by our rules or by the caller's directives. */
  readonly bypassed: number;
  readonly stored: number;
  /** Tokens of model calls that were avoided. */
  readonly savedInputTokens: number;
  readonly savedOutputTokens: number;
}

function createCacheCounter() {
  const counts = {
    hits: 0,
    collapsed: 0,
    misses: 0,
    bypassed: 0,
    stored: 0,
    savedInputTokens: 0,
    savedOutputTokens: 0,
  };
  return {
    recordHit(kind: 'hits' | 'collapsed', usage: StoredResponse['usage']) {
      counts[kind] += 1;
      counts.savedInputTokens += usage.inputTokens;
      counts.savedOutputTokens += usage.outputTokens;
    },
    recordForward(reason: ForwardReason) {
      counts[reason === 'miss' || reason === 'stale' ? 'misses' : 'bypassed'] += 1;
    },
    recordStored() {
      counts.stored += 1;
    },
    counts: (): CacheCounts => ({ ...counts }),
  };
}

/** How a shared call ended. */
export type SharedCallResult<T> =
  | { readonly kind: 'value'; readonly value: T }
  | { readonly kind: 'error'; readonly error: unknown }
  /** The leader stopped for reasons of its own, such as a disconnected client. */
  | { readonly kind: 'abandoned' }
  /** The call succeeded, but its result must not be shared. */
  | { readonly kind: 'uncacheable' };

/** Held by the request that makes the call for a key. Must be settled; later calls are ignored. */
export interface CallLeader<T> {
  settle(result: SharedCallResult<T>): void;
}

type JoinedCall<T> =
  | { readonly role: 'leader'; readonly leader: CallLeader<T> }
  | { readonly role: 'follower'; readonly result: Promise<SharedCallResult<T>> };

type SingleFlight<T> = ReturnType<typeof createSingleFlight<T>>;

/** Allows one call at a time for each key. */
export function createSingleFlight<T>() {
  const inFlight = new Map<string, Promise<SharedCallResult<T>>>();
  return {
    join(key: string): JoinedCall<T> {
      const current = inFlight.get(key);
      if (current !== undefined) return { role: 'follower', result: current };
      const { promise, resolve } = Promise.withResolvers<SharedCallResult<T>>();
      inFlight.set(key, promise);
      function settle(result: SharedCallResult<T>): void {
        // Removed first, so that no request joins a call that has ended.
        if (inFlight.get(key) === promise) inFlight.delete(key);
        resolve(result);
      }
      return { role: 'leader', leader: { settle } };
    },
    /** Number of calls in flight. */
    size: () => inFlight.size,
  };
}

/** The outcome of `coalesce` for one request. */
type CoalescedCall<T> =
  | { readonly kind: 'value'; readonly value: T }
  | { readonly kind: 'leader'; readonly leader: CallLeader<T> }
  /** Make a separate call: the result of the shared call must not be shared. */
  | { readonly kind: 'uncacheable' };

/**
 * Becomes the leader for a key or waits for the current one. An error reaches only the requests
 * that joined before the call started; later requests try again. So no request gets the error of
 * an older call, and a failing endpoint still sees one call at a time for each key.
 */
export async function coalesce<T>(
  calls: SingleFlight<T>,
  { key, signal }: { key: string; signal: AbortSignal },
): Promise<CoalescedCall<T>> {
  let joinedBeforeStart = false;
  for (;;) {
    const joined = calls.join(key);
    if (joined.role === 'leader') return { kind: 'leader', leader: joined.leader };
    // An aborted request stops waiting; the shared call continues for the others.
    const result = await raceAbort(joined.result, signal);
    switch (result.kind) {
      case 'value':
      case 'uncacheable':
        return result;
      case 'error':
        if (joinedBeforeStart) throw result.error;
        break;
      case 'abandoned':
        break;
    }
    // Any further call for this key starts after this point.
    joinedBeforeStart = true;
  }
}
