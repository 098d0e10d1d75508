import {
  type CacheControl,
  type CacheStatus,
  type CandidateResponse,
  type ForwardReason,
  isCacheable,
  type RequestTraits,
  toStoredResponse,
} from './cache-headers.ts';
import { cacheKey, type CacheKeyParts } from './cache-key.ts';
import type { CacheEntry, CacheStore, StoredResponse } from './cache-store.ts';
import {
  createSingleFlight,
  type FlightResult,
  type FlightLeader,
  coalesce,
} from './request-coalescing.ts';
import type { Clock } from '../clock.ts';

/** Finds the answer to a request, waits for one that is being made, or asks for it to be made. */
export interface ResponseCache {
  /**
   * Rejects only with the reason of the signal, or with the error of a call that this request
   * waited for from its beginning.
   */
  open(ask: CacheLookup): Promise<LookupResult>;
  counts(): CacheCounts;
}

export interface CacheLookup {
  readonly parts: CacheKeyParts;
  readonly traits: RequestTraits;
  readonly control: CacheControl;
  /** How long this request is willing to wait for the answer of another one. */
  readonly signal: AbortSignal;
}

export type LookupResult =
  | { readonly kind: 'found'; readonly answer: StoredResponse; readonly status: CacheStatus }
  | { readonly kind: 'make'; readonly status: CacheStatus; readonly making: CacheFill };

export interface ResponseCacheOptions {
  readonly cache: CacheStore;
  readonly ttlMs: number;
  readonly clock: Clock;
}

export function createResponseCache({ cache, ttlMs, clock }: ResponseCacheOptions): ResponseCache {
  const flights = createSingleFlight<FilledEntry>();
  const counter = createCacheCounter();

  function found({ entry, isNew }: FilledEntry): LookupResult {
    counter.found(isNew ? 'collapsed' : 'hits', entry.answer.usage);
    const ttlSeconds = Math.max(0, Math.floor((entry.expiresAt - clock.now()) / 1000));
    const status: CacheStatus = isNew ? { kind: 'collapsed' } : { kind: 'hit', ttlSeconds };
    return { kind: 'found', answer: entry.answer, status };
  }

  function make(reason: ForwardReason, place: CacheFillTarget): LookupResult {
    counter.forwarded(reason);
    const onStored = (): void => counter.stored();
    const making = createCacheFill({ ...place, reason, cache, ttlMs, clock, onStored });
    return { kind: 'make', status: { kind: 'forward', reason }, making };
  }

  function suits({ storedAt }: CacheEntry, { maxAgeSeconds }: CacheControl): boolean {
    return maxAgeSeconds === undefined || clock.now() - storedAt <= maxAgeSeconds * 1000;
  }

  async function open({ parts, traits, control, signal }: CacheLookup): Promise<LookupResult> {
    if (!isCacheable(traits)) return make('bypass', {});
    if (control.noStore) return make('request', {});
    const key = cacheKey(parts);
    if (control.noCache) return make('request', { key });
    // Before the look into the cache, so that many equal requests cause one look and one call.
    const followed = await coalesce(flights, { key, signal });
    if (followed.kind === 'alone') return make('miss', { key });
    if (followed.kind === 'value') {
      const { entry } = followed.value;
      return suits(entry, control) ? found(followed.value) : make('stale', { key });
    }
    const { lead } = followed;
    const entry = await cache.get(key).catch(() => undefined);
    if (entry === undefined) return make('miss', { key, lead });
    if (!suits(entry, control)) return make('stale', { key, lead });
    const landed: FilledEntry = { entry, isNew: false };
    lead.end({ kind: 'landed', value: landed });
    return found(landed);
  }

  return { open, counts: () => counter.counts() };
}

/**
 * The duty to make the answer. Others may be waiting, so every path ends in one of these; the
 * first one counts.
 */
export interface CacheFill {
  /** The answer is whole. Kept and shared where that is allowed. Never rejects. */
  keep(answer: CandidateResponse): Promise<CacheStatus>;
  /** The call failed; it would have failed for anybody. */
  fail(error: unknown): void;
  /** This caller left or ran out of time: somebody else takes over. */
  leave(): void;
}

/** An entry that several requests share. */
export interface FilledEntry {
  readonly entry: CacheEntry;
  /** Made just now, as opposed to found. */
  readonly isNew: boolean;
}

export interface CacheFillTarget {
  /** Undefined where nothing of the request is to be kept. */
  readonly key?: string;
  /** Undefined where nobody waits for this call. */
  readonly lead?: FlightLeader<FilledEntry>;
}

export interface CacheFillOptions extends CacheFillTarget {
  readonly reason: ForwardReason;
  readonly cache: CacheStore;
  readonly ttlMs: number;
  readonly clock: Clock;
  readonly onStored: () => void;
}

export function createCacheFill(options: CacheFillOptions): CacheFill {
  const { reason, key, lead, cache } = options;
  let isOpen = true;

  function end(landing: FlightResult<FilledEntry>): void {
    isOpen = false;
    lead?.end(landing);
  }

  async function keep(candidate: CandidateResponse): Promise<CacheStatus> {
    const answer = key === undefined || !isOpen ? undefined : toStoredResponse(candidate);
    if (key === undefined || answer === undefined) {
      end({ kind: 'private' });
      return { kind: 'forward', reason, stored: false };
    }
    const storedAt = options.clock.now();
    const entry: CacheEntry = { answer, storedAt, expiresAt: storedAt + options.ttlMs };
    end({ kind: 'landed', value: { entry, isNew: true } });
    const stored = await cache.set(key, entry).catch(() => false);
    if (stored) options.onStored();
    return { kind: 'forward', reason, stored };
  }

  return {
    keep,
    fail: (error) => end({ kind: 'failed', error }),
    leave: () => end({ kind: 'left' }),
  };
}

/** What the cache has done since the process began. */
export interface CacheCounts {
  readonly hits: number;
  readonly collapsed: number;
  readonly misses: number;
  /** Requests whose answers are not kept, by our rules or by the caller's word. */
  readonly bypassed: number;
  readonly stored: number;
  /** Tokens that a model would have been paid for. */
  readonly savedInputTokens: number;
  readonly savedOutputTokens: number;
}

export interface CacheCounter {
  found(how: 'hits' | 'collapsed', usage: StoredResponse['usage']): void;
  forwarded(reason: ForwardReason): void;
  stored(): void;
  counts(): CacheCounts;
}

export function createCacheCounter(): CacheCounter {
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
    found(how, usage) {
      counts[how] += 1;
      counts.savedInputTokens += usage.inputTokens;
      counts.savedOutputTokens += usage.outputTokens;
    },
    forwarded(reason) {
      counts[reason === 'miss' || reason === 'stale' ? 'misses' : 'bypassed'] += 1;
    },
    stored() {
      counts.stored += 1;
    },
    counts: () => ({ ...counts }),
  };
}
