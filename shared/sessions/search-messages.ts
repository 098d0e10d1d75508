import type { SessionMessage } from './session-items.ts';

/** Results of one search, and the part of each message that is shown. */
const MAX_RESULTS = 8;
const MAX_CHARS = 600;

/**
 * The messages that contain most words of the query, newer ones first among equals. Each is one line
 * with its time and role.
 */
export function searchMessages(messages: readonly SessionMessage[], query: string): string[] {
  const words = wordsOf(query);
  return messages
    .map((item, index) => ({ item, index, score: scoreOf(item, words) }))
    .filter(({ score }) => score > 0)
    .toSorted((one, other) => other.score - one.score || other.index - one.index)
    .slice(0, MAX_RESULTS)
    .map(({ item }) => describe(item, words));
}

function wordsOf(text: string): string[] {
  return [...new Set(text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [])];
}

function scoreOf({ message }: SessionMessage, words: readonly string[]): number {
  const text = (message.content ?? '').toLowerCase();
  return words.filter((word) => text.includes(word)).length;
}

function describe({ at, message }: SessionMessage, words: readonly string[]): string {
  const text = (message.content ?? '').replaceAll(/\s+/g, ' ');
  const first = words
    .map((word) => text.toLowerCase().indexOf(word))
    .filter((index) => index >= 0)
    .reduce((one, other) => Math.min(one, other), text.length);
  const start = Math.max(0, first - MAX_CHARS / 2);
  return `${new Date(at).toISOString()} ${message.role}: ${text.slice(start, start + MAX_CHARS)}`;
}
