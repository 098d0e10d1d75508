import type { ResponseWriter } from '../response-writer.ts';
import { tokenEvent } from '../send-reply.ts';

// Four characters each, with the space: one token as this model counts.
const WORDS = ['one ', 'two ', 'six ', 'ten '] as const;

/** A text of this number of tokens. */
export function fillerText(tokens: number): string {
  const rounds = Math.ceil(tokens / WORDS.length);
  return WORDS.join('')
    .repeat(rounds)
    .slice(0, tokens * 4);
}

/** Stream events with one token each, created while they are sent. */
export function* fillerTokens(writer: ResponseWriter, tokens: number): Generator<string> {
  for (let index = 0; index < tokens; index += 1) {
    yield tokenEvent(writer, WORDS[index % WORDS.length] ?? WORDS[0]);
  }
}
