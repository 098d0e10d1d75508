import type { Clock } from '../clock.ts';
import type { CacheControl } from './cache-control.ts';
import { createCacheCounter, type CacheCounts } from './cache-counts.ts';
import { cacheKey, type CacheKeyParts } from './cache-key.ts';
import type { CacheStatus, ForwardReason } from './cache-status.ts';
import { mayUseCache, type RequestTraits } from './cache-headers.ts';
import { leadOrFollow } from './request-coalescing.ts';
import { createMaking, type Landed, type Making, type MakingPlace } from './making.ts';
import type { CacheEntry, ResponseCache, StoredAnswer } from './response-cache.part.ts';
import { createSingleFlight } from './single-flight.ts';

/** Finds the answer to a request, waits for one that is being made, or asks for it to be made. */
export interface AnswerCache {
  /**
   * Rejects only with the reason of the signal, or with the error of a call that this request
   * waited for from its beginning.
   */
  open(ask: CacheAsk): Promise<OpenedAnswer>;
  counts(): CacheCounts;
}

export interface CacheAsk {
  readonly parts: CacheKeyParts;
  readonly traits: RequestTraits;
  readonly control: CacheControl;
  /** How long this request is willing to wait for the answer of another one. */
  readonly signal: AbortSignal;
}

export type OpenedAnswer =
  | { readonly kind: 'found'; readonly answer: StoredAnswer; readonly status: CacheStatus }
  | { readonly kind: 'make'; readonly status: CacheStatus; readonly making: Making };

export interface AnswerCacheOptions {
  readonly cache: ResponseCache;
  readonly ttlMs: number;
  readonly clock: Clock;
}

export function createAnswerCache({ cache, ttlMs, clock }: AnswerCacheOptions): AnswerCache {
  const flights = createSingleFlight<Landed>();
  const counter = createCacheCounter();

  function found({ entry, isNew }: Landed): OpenedAnswer {
    counter.found(isNew ? 'collapsed' : 'hits', entry.answer.usage);
    const ttlSeconds = Math.max(0, Math.floor((entry.expiresAt - clock.now()) / 1000));
    const status: CacheStatus = isNew ? { kind: 'collapsed' } : { kind: 'hit', ttlSeconds };
    return { kind: 'found', answer: entry.answer, status };
  }

  function make(reason: ForwardReason, place: MakingPlace): OpenedAnswer {
    counter.forwarded(reason);
    const onStored = (): void => counter.stored();
    const making = createMaking({ ...place, reason, cache, ttlMs, clock, onStored });
    return { kind: 'make', status: { kind: 'forward', reason }, making };
  }

  function suits({ storedAt }: CacheEntry, { maxAgeSeconds }: CacheControl): boolean {
    return maxAgeSeconds === undefined || clock.now() - storedAt <= maxAgeSeconds * 1000;
  }

  async function open({ parts, traits, control, signal }: CacheAsk): Promise<OpenedAnswer> {
    if (!mayUseCache(traits)) return make('bypass', {});
    if (control.noStore) return make('request', {});
    const key = cacheKey(parts);
    if (control.noCache) return make('request', { key });
    // Before the look into the cache, so that many equal requests cause one look and one call.
    const followed = await leadOrFollow(flights, { key, signal });
    if (followed.kind === 'alone') return make('miss', { key });
    if (followed.kind === 'value') {
      const { entry } = followed.value;
      return suits(entry, control) ? found(followed.value) : make('stale', { key });
    }
    const { lead } = followed;
    const entry = await cache.get(key).catch(() => undefined);
    if (entry === undefined) return make('miss', { key, lead });
    if (!suits(entry, control)) return make('stale', { key, lead });
    const landed: Landed = { entry, isNew: false };
    lead.end({ kind: 'landed', value: landed });
    return found(landed);
  }

  return { open, counts: () => counter.counts() };
}
