import type { ResponseWriter } from '../response-writer.ts';
import { tokenEvent } from '../send-reply.ts';

// Four characters each with the blank: one token by the model's own way of counting.
const WORDS = ['one ', 'two ', 'six ', 'ten '] as const;

/** A text of exactly so many tokens. */
export function fillerText(tokens: number): string {
  const rounds = Math.ceil(tokens / WORDS.length);
  return WORDS.join('')
    .repeat(rounds)
    .slice(0, tokens * 4);
}

/** So many stream events with one token each, made one by one as they are sent. */
export function* fillerTokens(exchange: ResponseWriter, tokens: number): Generator<string> {
  for (let index = 0; index < tokens; index += 1) {
    yield tokenEvent(exchange, WORDS[index % WORDS.length] ?? WORDS[0]);
  }
}
