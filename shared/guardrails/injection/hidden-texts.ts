import { classesOf } from './lexicon.ts';

/** The longest part that is decoded, and how many of them: decoding stays linear and bounded. */
const MAX_ENCODED_CHARS = 4096;
const MAX_PARTS = 8;
const BASE64 = /(?<![A-Za-z0-9+/_-])[A-Za-z0-9+/_-]{16,4096}={0,2}/g;
const HEX = /(?<![0-9A-Za-z])(?:(?:0x|\\x)?[0-9a-f]{2}[ ,:]?){12,2048}(?![0-9A-Za-z])/gi;
const URL_ENCODED = /(?:%[0-9a-f]{2}|[\w.~-]){8,4096}/gi;
const ENTITIES = /&#(x?)([0-9a-f]{2,6});/gi;
const MAX_CODE_POINT = 0x10ffff;

/** A view counts only when it has so many words of instructions, and more than the text itself. */
const MIN_WORDS = 2;
const MIN_GAIN = 0.15;
const SAMPLE_WORDS = 400;

/**
 * What a model may read in a text that a filter does not see: parts in base64, hexadecimal, URL and
 * HTML encoding, and the whole text in rot13 or backwards when that makes more sense.
 */
export function findHiddenTexts(text: string): string[] {
  const parts = [
    ...decodeAll(text, { pattern: BASE64, decode: (part) => fromBytes(part, 'base64') }),
    ...decodeAll(text, { pattern: HEX, decode: decodeHex }),
    ...decodeAll(text, { pattern: URL_ENCODED, decode: decodeUrl }),
  ];
  if (text.includes('&#')) parts.push(text.replaceAll(ENTITIES, decodeEntity));
  const share = instructionShare(text);
  for (const view of [rotate13(text), reverse(text)]) {
    if (instructionShare(view) > share + MIN_GAIN) parts.push(view);
  }
  return parts;
}

interface Encoding {
  readonly pattern: RegExp;
  readonly decode: (part: string) => string | undefined;
}

function decodeAll(text: string, { pattern, decode }: Encoding): string[] {
  const found: string[] = [];
  for (const [part] of text.matchAll(pattern)) {
    const decoded = decode(part.slice(0, MAX_ENCODED_CHARS));
    if (decoded !== undefined && decoded !== part) found.push(decoded);
    if (found.length === MAX_PARTS) break;
  }
  return found;
}

/** The decoded bytes as text, unless they are not text. */
function fromBytes(part: string, encoding: 'base64' | 'hex'): string | undefined {
  const decoded = Buffer.from(part, encoding).toString('utf8');
  const unreadable = decoded.match(/[^\p{L}\p{M}\p{N}\p{P}\p{Zs}\p{Sm}\p{Sc}\n\r\t]|\uFFFD/gu);
  const isText = decoded.length >= 8 && (unreadable?.length ?? 0) * 20 < decoded.length;
  return isText && /[\p{L}]{2}/u.test(decoded) ? decoded : undefined;
}

function decodeHex(part: string): string | undefined {
  return fromBytes(part.replaceAll(/0x|\\x|[ ,:]/gi, ''), 'hex');
}

function decodeUrl(part: string): string | undefined {
  if ((part.match(/%[0-9a-f]{2}/gi)?.length ?? 0) < 2) return undefined;
  try {
    return decodeURIComponent(part);
  } catch {
    return undefined;
  }
}

function decodeEntity(entity: string, isHex: string, digits: string): string {
  const code = Number.parseInt(digits, isHex === '' ? 10 : 16);
  return code > 0 && code <= MAX_CODE_POINT ? String.fromCodePoint(code) : entity;
}

function rotate13(text: string): string {
  return text.slice(0, MAX_ENCODED_CHARS).replaceAll(/[a-z]/gi, (letter) => {
    const code = letter.charCodeAt(0);
    const base = code < 97 ? 65 : 97;
    return String.fromCharCode(((code - base + 13) % 26) + base);
  });
}

function reverse(text: string): string {
  return Array.from(text.slice(0, MAX_ENCODED_CHARS)).toReversed().join('');
}

/** The part of a text's words that belong to a class, or 0 when there are hardly any. */
function instructionShare(text: string): number {
  const words =
    text
      .toLowerCase()
      .match(/[a-z]{3,}/g)
      ?.slice(0, SAMPLE_WORDS) ?? [];
  const known = words.filter((word) => classesOf(word).length > 0).length;
  return known < MIN_WORDS ? 0 : known / words.length;
}
