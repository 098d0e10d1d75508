import type { StoredAnswer } from './response-cache.part.ts';

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
export interface CandidateAnswer {
  readonly text: string;
  readonly model: string;
  readonly finishReason: string;
  readonly usage: StoredAnswer['usage'];
  /** Tools that were called on the way; what they said may be different the next time. */
  readonly toolCalls: readonly unknown[];
  /** A guardrail changed or blocked part of the answer. */
  readonly isFiltered?: boolean;
}

/** A caller who asks for variety must not get the same answer again. */
export function mayUseCache(traits: RequestTraits): boolean {
  return !((traits.temperature ?? 0) > 0) && !traits.hasHistory && !traits.hasPersonalData;
}

/** The part of an answer that may be kept, or undefined where none of it may. */
export function toStoredAnswer(answer: CandidateAnswer): StoredAnswer | undefined {
  const isWhole = answer.finishReason === 'stop' && answer.text !== '';
  if (!isWhole || answer.toolCalls.length > 0 || answer.isFiltered === true) return undefined;
  const { inputTokens, outputTokens, totalTokens } = answer.usage;
  return {
    text: answer.text,
    model: answer.model,
    usage: { inputTokens, outputTokens, totalTokens },
  };
}
