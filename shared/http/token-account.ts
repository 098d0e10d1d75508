import type { QuestionSize } from '../agent/measure-question.ts';
import { estimateTokens } from '../rate-limit/estimate-tokens.ts';
import type { Reservation } from '../rate-limit/rate-limiter.ts';

/** What one turn has used of the tokens that were reserved for it. */
export interface TokenAccount {
  /** Text went out: it is paid for whatever becomes of the rest. */
  passOn(text: string): void;
  /** The answer is whole, and this is what it cost. */
  finish(totalTokens: number): void;
  /** The answer is somebody else's expense. */
  isFree(): void;
  /** Puts what was used in the place of what was reserved. Nobody waits for it. */
  settle(): void;
}

/** The usual ratio for English text. */
const CHARS_PER_TOKEN = 4;

/** A turn that failed before its first word costs nothing. */
export function openTokenAccount(reservation: Reservation, size: QuestionSize): TokenAccount {
  let passedOnChars = 0;
  let known: number | undefined;

  function usedSoFar(): number {
    if (passedOnChars === 0) return 0;
    const input = estimateTokens({ ...size, maxOutputTokens: 0 });
    return input + Math.ceil(passedOnChars / CHARS_PER_TOKEN);
  }
  return {
    passOn(text) {
      passedOnChars += text.length;
    },
    finish(totalTokens) {
      known ??= totalTokens;
    },
    isFree() {
      known = 0;
    },
    settle: () => void reservation.settle(known ?? usedSoFar()),
  };
}
