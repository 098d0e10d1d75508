import type { StoredResponse } from './cache-store.ts';

/** What a caller wants of the cache. */
export interface CacheControl {
  /** Neither give out nor keep anything of this request. */
  readonly noStore: boolean;
  /** Make a fresh answer; it may be kept. */
  readonly noCache: boolean;
  /** Oldest answer that is welcome, in seconds. */
  readonly maxAgeSeconds: number | undefined;
}

const DIRECTIVE = /^([a-z-]+)(?:=(?:"([^"]*)"|(.*)))?$/;

/**
 * Reads the Cache-Control header of a request. Directives that make no sense for chat are left out:
 * a caller who asks `only-if-cached` still wants an answer.
 */
export function parseCacheControl(header: string | undefined): CacheControl {
  const directives = new Map<string, string>();
  for (const part of (header ?? '').toLowerCase().split(',')) {
    const [, name, quoted, bare] = DIRECTIVE.exec(part.trim()) ?? [];
    if (name !== undefined) directives.set(name, quoted ?? bare ?? '');
  }
  const maxAgeSeconds = secondsOf(directives.get('max-age'));
  return {
    noStore: directives.has('no-store'),
    noCache: directives.has('no-cache') || maxAgeSeconds === 0,
    maxAgeSeconds,
  };
}

/** An age that nobody can read means that no age is old enough to be safe. */
function secondsOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  return /^\d{1,10}$/.test(text) ? Number(text) : 0;
}

/**
 * Why an answer had to be made. miss: nothing was kept; stale: what was kept is older than the
 * caller accepts; request: the caller wants a fresh one; bypass: such answers are never kept.
 */
export type ForwardReason = 'miss' | 'stale' | 'request' | 'bypass';

/** What the cache did for one request. */
export type CacheStatus =
  | { readonly kind: 'hit'; readonly ttlSeconds: number }
  | {
      readonly kind: 'forward';
      readonly reason: ForwardReason;
      /** Whether the new answer was kept; undefined where that is not known yet. */
      readonly stored?: boolean;
    }
  /** Somebody else asked the same at the same time, and both got that one answer. */
  | { readonly kind: 'collapsed' };

const CACHE_NAME = 'serverless-agent';

/** The value of the Cache-Status header (RFC 9211). */
export function cacheStatusHeader(status: CacheStatus): string {
  switch (status.kind) {
    case 'hit':
      return `${CACHE_NAME}; hit; ttl=${status.ttlSeconds}`;
    case 'collapsed':
      return `${CACHE_NAME}; fwd=miss; collapsed`;
    case 'forward':
      return `${CACHE_NAME}; fwd=${status.reason}${status.stored === true ? '; stored' : ''}`;
  }
}

/** What decides whether the answer to a request may be found in, or put into, the cache. */
export interface RequestTraits {
  /** As the caller asked for it. */
  readonly temperature?: number | undefined;
  /** The answer depends on earlier turns of a conversation. */
  readonly hasHistory: boolean;
  /** A guardrail saw personal data in the request. */
  readonly hasPersonalData: boolean;
}

/** An answer with everything that speaks for or against keeping it. */
export interface CandidateResponse {
  readonly text: string;
  readonly model: string;
  readonly finishReason: string;
  readonly usage: StoredResponse['usage'];
  /** Tools that were called on the way; what they said may be different the next time. */
  readonly toolCalls: readonly unknown[];
  /** A guardrail changed or blocked part of the answer. */
  readonly isFiltered?: boolean;
}

/** A caller who asks for variety must not get the same answer again. */
export function isCacheable(traits: RequestTraits): boolean {
  return !((traits.temperature ?? 0) > 0) && !traits.hasHistory && !traits.hasPersonalData;
}

/** The part of an answer that may be kept, or undefined where none of it may. */
export function toStoredResponse(answer: CandidateResponse): StoredResponse | undefined {
  const isWhole = answer.finishReason === 'stop' && answer.text !== '';
  if (!isWhole || answer.toolCalls.length > 0 || answer.isFiltered === true) return undefined;
  const { inputTokens, outputTokens, totalTokens } = answer.usage;
  return {
    text: answer.text,
    model: answer.model,
    usage: { inputTokens, outputTokens, totalTokens },
  };
}
