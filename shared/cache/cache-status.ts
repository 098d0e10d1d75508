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
