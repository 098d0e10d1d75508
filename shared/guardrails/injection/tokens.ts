import { classesOf } from './lexicon.ts';

/** Buckets of hashed words, word pairs and four-letter sequences. A power of two. */
export const GRAM_BUCKETS = 1 << 14;

/** Words of any script, and signs that separate parts of a text. */
const TOKEN = /[\p{L}\p{M}\p{N}_']+|["“”«»„:!?{}<>[\]#=]/gu;
const LETTERS = 4;
/** What is longer is not a word. */
const MAX_WORD_CHARS = 32;

export interface Token {
  /** Where it begins in the normalised text. */
  readonly position: number;
  /** Buckets of the word, and of the word with the one before it. */
  readonly word: number;
  readonly pair: number;
  /** Buckets of its sequences of four letters. */
  readonly letters: readonly number[];
  /** Indices in WORD_CLASSES. */
  readonly classes: readonly number[];
  readonly endsSentence: boolean;
}

/** The tokens of a normalised text. */
export function tokenise(plain: string): Token[] {
  const known = new Map<string, Omit<Token, 'position' | 'pair'>>();
  const tokens: Token[] = [];
  let previous = 0;
  for (const { 0: text, index: position } of plain.matchAll(TOKEN)) {
    let word = known.get(text);
    if (word === undefined) {
      word = describeWord(text);
      known.set(text, word);
    }
    const pair = bucketOf(Math.imul(previous + 1, 0x2c1b3c6d) ^ word.word);
    tokens.push({ ...word, position, pair });
    previous = word.word;
  }
  return tokens;
}

function describeWord(text: string): Omit<Token, 'position' | 'pair'> {
  return {
    word: hash(text, 1),
    letters: lettersOf(text),
    classes: classesOf(text),
    endsSentence: text === '!' || text === '?',
  };
}

function lettersOf(text: string): number[] {
  const padded = `^${text.slice(0, MAX_WORD_CHARS)}$`;
  const all: number[] = [];
  for (let start = 0; start + LETTERS <= padded.length; start += 1) {
    all.push(hash(padded.slice(start, start + LETTERS), 3));
  }
  return all;
}

/** FNV-1a, reduced to a bucket. */
function hash(text: string, seed: number): number {
  let state = 0x811c9dc5 ^ Math.imul(seed, 0x9e3779b1);
  for (let index = 0; index < text.length; index += 1) {
    state = Math.imul(state ^ text.charCodeAt(index), 0x01000193);
  }
  return bucketOf(state);
}

function bucketOf(state: number): number {
  const mixed = Math.imul(state ^ (state >>> 15), 0x2c1b3c6d);
  return (mixed ^ (mixed >>> 12)) & (GRAM_BUCKETS - 1);
}

/** The index of the last token that begins at or before a position. */
export function tokenAt(tokens: readonly Token[], position: number): number {
  let [low, high] = [0, tokens.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((tokens[middle]?.position ?? 0) <= position) low = middle + 1;
    else high = middle;
  }
  return Math.max(0, low - 1);
}
