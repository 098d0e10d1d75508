import type { StoredResponse } from './cache-store.ts';

/** The directives of a request's Cache-Control header that this cache honours. */
export interface CacheControl {
  /** Do not read the cache and do not store the response. */
  readonly noStore: boolean;
  /** Do not read the cache; the new response may be stored. */
  readonly noCache: boolean;
  /** Greatest age of an accepted response, in seconds. */
  readonly maxAgeSeconds: number | undefined;
}

const DIRECTIVE = /^([a-z-]+)(?:=(?:"([^"]*)"|(.*)))?$/;

/**
 * Parses the Cache-Control header of a request. Ignores directives that make no sense for chat,
 * such as `only-if-cached`.
 */
export function parseCacheControl(header: string | undefined): CacheControl {
  const directives = new Map<string, string>();
  for (const part of (header ?? '').toLowerCase().split(',')) {
    const [, name, quoted, bare] = DIRECTIVE.exec(part.trim()) ?? [];
    if (name !== undefined) directives.set(name, quoted ?? bare ?? '');
  }
  const maxAgeSeconds = parseMaxAge(directives.get('max-age'));
  return {
    noStore: directives.has('no-store'),
    noCache: directives.has('no-cache') || maxAgeSeconds === 0,
    maxAgeSeconds,
  };
}

/** Treats an invalid age as 0, so the caller gets a fresh response. */
function parseMaxAge(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  return /^\d{1,10}$/.test(text) ? Number(text) : 0;
}

/**
 * Why a request was forwarded to the model (RFC 9211). miss: nothing was stored; stale: the stored
 * response is older than the caller accepts; request: the caller asked for a fresh response;
 * bypass: responses to such requests are never stored.
 */
export type ForwardReason = 'miss' | 'stale' | 'request' | 'bypass';

/** What the cache did for one request. */
export type CacheStatus =
  | { readonly kind: 'hit'; readonly ttlSeconds: number }
  | {
      readonly kind: 'forward';
      readonly reason: ForwardReason;
      /** Whether the new response was stored; undefined until the call ends. */
      readonly stored?: boolean;
    }
  /** Served by the model call of another identical request. */
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

/** The properties of a request that decide whether its response may be read from or stored in the cache. */
export interface RequestTraits {
  /** As sent by the caller. */
  readonly temperature?: number | undefined;
  /** The request continues a conversation. */
  readonly hasHistory: boolean;
  /** The request has images: what is behind an address may change. */
  readonly hasImages?: boolean | undefined;
  /** A guardrail detected personal data in the request. */
  readonly hasPersonalData: boolean;
}

/** A response with every property that decides whether it may be stored. */
export interface CandidateResponse {
  readonly text: string;
  readonly model: string;
  readonly finishReason: string;
  readonly usage: StoredResponse['usage'];
  /** Results of tools may differ next time, so responses that used tools are not stored. */
  readonly toolCalls: readonly unknown[];
  /** A refusal is not stored, because a stored response is plain text. */
  readonly refusal?: string | undefined;
  /** A guardrail changed or blocked part of the response. */
  readonly isFiltered?: boolean;
}

/** A positive temperature asks for variety, so the cache does not serve it. */
export function isCacheable(traits: RequestTraits): boolean {
  const { temperature = 0, hasHistory, hasImages = false, hasPersonalData } = traits;
  return !(temperature > 0) && !hasHistory && !hasImages && !hasPersonalData;
}

/** The part of a response that is stored, or undefined if it must not be stored. */
export function toStoredResponse(candidate: CandidateResponse): StoredResponse | undefined {
  const isComplete = candidate.finishReason === 'stop' && candidate.text !== '';
  if (!isComplete || candidate.toolCalls.length > 0 || candidate.refusal !== undefined) {
    return undefined;
  }
  if (candidate.isFiltered === true) {
    return undefined;
  }
  const { inputTokens, outputTokens, totalTokens } = candidate.usage;
  return {
    text: candidate.text,
    model: candidate.model,
    usage: { inputTokens, outputTokens, totalTokens },
  };
}
