import { isWordAt, toAsciiDigits } from './detectors/digit-runs.ts';
import type { PiiSpan } from './personal-data.ts';
import type { Redaction } from './redaction.ts';

/** Changes a text that arrives in pieces. No part of what it looks for leaves. */
export interface StreamRedactor {
  /** What may be sent now. */
  push(delta: string): string;
  /** What is held back. The text may go on with `push`. */
  end(): string;
  /** What is held back, unchanged. Later calls of `push` begin anew. */
  abandon(): string;
}

/** A part of a text that is replaced. Offsets are UTF-16 units. */
export interface Finding {
  readonly start: number;
  readonly end: number;
}

/** What to look for in a text, and what to do with it. */
export interface TextFilter<Found extends Finding> {
  /** How much of the text that was sent the filter needs to judge what follows; the default is 192. */
  readonly contextChars?: number;
  /** In order, without overlaps. */
  find(text: string): readonly Found[];
  /** Where the part begins that later text may complete or change; the length if there is none. */
  openFrom(text: string): number;
  /** What is sent instead. */
  replace(value: string, found: Found): string;
}

/** Text that was sent stays known for the words that say what a later part is. */
const CONTEXT_CHARS = 192;

/** Sends the same as for the whole text, however that is cut. */
export function createFilterStream<Found extends Finding>(
  filter: TextFilter<Found>,
): StreamRedactor {
  const { contextChars = CONTEXT_CHARS } = filter;
  let context = '';
  let pending = '';

  function release(isEnd: boolean): string {
    const text = context + pending;
    let end = isEnd ? text.length : Math.max(context.length, filter.openFrom(text));
    if (end === context.length) return '';
    const spans = filter.find(text);
    const cut = spans.find((span) => span.start < end && span.end > end);
    if (cut !== undefined) end = Math.max(context.length, cut.start);
    let safe = '';
    let position = context.length;
    for (const span of spans) {
      if (span.end <= position || span.end > end) continue;
      safe += text.slice(position, Math.max(position, span.start));
      safe += filter.replace(text.slice(span.start, span.end), span);
      position = span.end;
    }
    safe += text.slice(position, end);
    pending = text.slice(end);
    context = text.slice(Math.max(0, end - contextChars), end);
    return safe;
  }

  return {
    push(delta) {
      pending += delta;
      return release(false);
    },
    end: () => release(true),
    abandon() {
      const buffered = pending;
      context = '';
      pending = '';
      return buffered;
    },
  };
}

/** The longest part that may still become an e-mail address: RFC 5321, 64 + 1 + 253. */
const MAX_TOKEN_CHARS = 318;
/** The longest number: 19 digits with three separators between two of them, and an extension. */
const MAX_NUMBER_CHARS = 96;
/** A number is decided when so much text follows: words after it can make it a phone number. */
const LOOKAHEAD_CHARS = 24;
/** More than this is never held back. */
export const MAX_BUFFERED_CHARS = MAX_TOKEN_CHARS + LOOKAHEAD_CHARS;

/**
 * Holds back the end of a text while it may be the beginning of personal data: the last word, and
 * numbers until 24 characters follow them. At most 342 characters are held back.
 */
export function createStreamRedactor(redaction: Redaction): StreamRedactor {
  return createFilterStream(redactionFilter(redaction));
}

/** Finds personal data and replaces it by placeholders. */
export function redactionFilter(redaction: Redaction): TextFilter<PiiSpan> {
  return {
    find: (text) => redaction.find(text),
    openFrom: startOfOpenPart,
    replace: (value, { type }) => redaction.placeholderOf(type, value),
  };
}

/** Where the part begins that later text may complete to personal data. */
function startOfOpenPart(text: string): number {
  const plain = toAsciiDigits(text);
  return Math.min(startOfToken(plain), startOfNumbers(plain));
}

/** The last word, which may become an address, a number or an account. */
function startOfToken(text: string): number {
  const limit = Math.max(0, text.length - MAX_TOKEN_CHARS);
  let start = text.length;
  while (start > limit && isTokenAt(text, start - 1)) start -= 1;
  return start;
}

function isTokenAt(text: string, index: number): boolean {
  const code = text.charCodeAt(index);
  return isWordAt(text, index) || (code >= 0xc0 && code <= 0x52f) || TOKEN_SIGNS.has(code);
}

const TOKEN_SIGNS = new Set(Array.from("@.%+'&-:/()[", (char) => char.charCodeAt(0)));

/** Numbers near the end, with the letters and separators that may belong to them. */
function startOfNumbers(text: string): number {
  const lookahead = Math.max(0, text.length - LOOKAHEAD_CHARS);
  const match = /[0-9+(]/.exec(text.slice(lookahead));
  if (match === null) return text.length;
  let start = lookahead + match.index;
  const limit = Math.max(0, start - MAX_NUMBER_CHARS);
  // Back over digits, separators, and the letters of account numbers.
  for (let index = start - 1; index >= limit; index -= 1) {
    if (/[0-9+(]/.test(text.charAt(index))) start = index;
    else if (!/[A-Za-z \t().\-/:]/.test(text.charAt(index)) || start - index > 6) break;
  }
  // An account number begins with two letters before the digits.
  while (start > limit && isTokenAt(text, start - 1)) start -= 1;
  return start;
}

/**
 * Where the last words of a text begin. Of a word that is longer than the limit, half of the limit
 * stays open: then the next pieces need no search.
 */
export function startOfLastWords(
  text: string,
  { words, maxChars }: { readonly words: number; readonly maxChars: number },
): number {
  const limit = Math.max(0, text.length - maxChars);
  let start = text.length;
  for (let word = 0; word < words; word += 1) {
    while (start > limit && isSpaceAt(text, start - 1)) start -= 1;
    while (start > limit && !isSpaceAt(text, start - 1)) start -= 1;
  }
  return start === limit && limit > 0 ? text.length - Math.floor(maxChars / 2) : start;
}

function isSpaceAt(text: string, index: number): boolean {
  const code = text.charCodeAt(index);
  return code <= 32 || (code >= 160 && /\s/.test(text.charAt(index)));
}
