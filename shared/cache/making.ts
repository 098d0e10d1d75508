import type { Clock } from '../clock.ts';
import type { CacheStatus, ForwardReason } from './cache-status.ts';
import { toStoredAnswer, type CandidateAnswer } from './cache-headers.ts';
import type { CacheEntry, ResponseCache } from './response-cache.part.ts';
import type { Landing, Lead } from './single-flight.ts';

/**
 * The duty to make the answer. Others may be waiting, so every path ends in one of these; the
 * first one counts.
 */
export interface Making {
  /** The answer is whole. Kept and shared where that is allowed. Never rejects. */
  keep(answer: CandidateAnswer): Promise<CacheStatus>;
  /** The call failed; it would have failed for anybody. */
  fail(error: unknown): void;
  /** This caller left or ran out of time: somebody else takes over. */
  leave(): void;
}

/** An entry that several requests share. */
export interface Landed {
  readonly entry: CacheEntry;
  /** Made just now, as opposed to found. */
  readonly isNew: boolean;
}

export interface MakingPlace {
  /** Undefined where nothing of the request is to be kept. */
  readonly key?: string;
  /** Undefined where nobody waits for this call. */
  readonly lead?: Lead<Landed>;
}

export interface MakingOptions extends MakingPlace {
  readonly reason: ForwardReason;
  readonly cache: ResponseCache;
  readonly ttlMs: number;
  readonly clock: Clock;
  readonly onStored: () => void;
}

export function createMaking(options: MakingOptions): Making {
  const { reason, key, lead, cache } = options;
  let isOpen = true;

  function end(landing: Landing<Landed>): void {
    isOpen = false;
    lead?.end(landing);
  }

  async function keep(candidate: CandidateAnswer): Promise<CacheStatus> {
    const answer = key === undefined || !isOpen ? undefined : toStoredAnswer(candidate);
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
