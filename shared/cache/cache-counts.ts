import type { ForwardReason } from './cache-status.ts';
import type { StoredAnswer } from './response-cache.part.ts';

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
  found(how: 'hits' | 'collapsed', usage: StoredAnswer['usage']): void;
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
