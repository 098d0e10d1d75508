import {
  foldChar,
  MIN_SECRET_CHARS,
  type Pattern,
  patternsOf,
  type ViewName,
} from './canary/patterns.ts';

/** Searches one answer for secrets, in whatever pieces it arrives. */
export interface CanaryScan {
  /** Whether the text so far contains a secret. */
  push(delta: string): boolean;
  /** The number of characters so far that cannot become a part of one. */
  safeLength(): number;
}

export interface Canary {
  startScan(): CanaryScan;
}

interface CanaryOptions {
  /** Texts that must never leave. */
  readonly texts: readonly string[];
  /** The system prompt. */
  readonly prompt: string;
}

/** More than this is never held back. */
export const MAX_BUFFERED_CANARY_CHARS = 1_024;
/** Letters that no other letter or digit resembles. */
const MARKER_LETTERS = 'bcdfghjkmnpqrvwxyz';
const MARKER_CHARS = 24;

/** A random word for the system prompt. It occurs nowhere else, so an answer with it is a leak. */
export function createMarker(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(MARKER_CHARS));
  return Array.from(bytes, (byte) => MARKER_LETTERS.charAt(byte % MARKER_LETTERS.length)).join('');
}

/** Whether a text has enough letters and digits to differ from other texts. */
export function isUsableCanary(text: string): boolean {
  return text.normalize('NFKD').replaceAll(/[^A-Za-z0-9]/g, '').length >= MIN_SECRET_CHARS;
}

/**
 * Finds secrets in a text, plain, reversed, spaced out, with look-alike letters, shifted, as initials
 * or encoded: eight characters of a secret in a row, or a long passage of the prompt. Takes time
 * linear in the length of the text.
 */
export function createCanary({ texts, prompt }: CanaryOptions): Canary {
  const patterns = patternsOf(texts, prompt).map(toCompiled);
  return { startScan: () => startScan(patterns) };
}

interface CompiledPattern extends Pattern {
  /** By the upper bits of a hash: false for nearly every text that is none of the pattern. */
  readonly filter: Uint8Array;
  /** The weight of the character that leaves the window. */
  readonly power: number;
}

const BASE = 0x01_00_01_93;
const FILTER_BITS = 17;

function toCompiled(pattern: Pattern): CompiledPattern {
  const filter = new Uint8Array(1 << FILTER_BITS);
  for (const text of pattern.texts) {
    let hash = 0;
    for (let at = 0; at < text.length; at += 1)
      hash = (Math.imul(hash, BASE) + text.charCodeAt(at)) | 0;
    filter[hash >>> (32 - FILTER_BITS)] = 1;
  }
  let power = 1;
  for (let count = 0; count < pattern.width; count += 1) power = Math.imul(power, BASE);
  return { ...pattern, filter, power };
}

/** The last characters of a view, with their positions in the text. */
interface Window {
  readonly pattern: CompiledPattern;
  readonly codes: Uint16Array;
  readonly positions: Float64Array;
  count: number;
  hash: number;
}

type Views = Readonly<Record<ViewName, readonly Window[]>>;

function startScan(patterns: readonly CompiledPattern[]): CanaryScan {
  const windows = patterns.map((pattern): Window => ({
    pattern,
    codes: new Uint16Array(pattern.width),
    positions: new Float64Array(pattern.width),
    count: 0,
    hash: 0,
  }));
  const of = (view: ViewName) => windows.filter(({ pattern }) => pattern.view === view);
  const views: Views = {
    folded: of('folded'),
    letters: of('letters'),
    initials: of('initials'),
    lineInitials: of('lineInitials'),
    printable: of('printable'),
    base64: of('base64'),
    base32: of('base32'),
    hex: of('hex'),
    digits: of('digits'),
    morse: of('morse'),
  };
  const reader = createReader(views);
  let half = '';
  return {
    push(delta) {
      // A delta may end in the middle of a character.
      const text = half + delta;
      half = /[\uD800-\uDBFF]$/.test(text) ? text.slice(-1) : '';
      let isFound = false;
      for (const char of text.slice(0, text.length - half.length)) {
        isFound = reader.read(char) || isFound;
      }
      return isFound;
    },
    safeLength() {
      const buffered = windows.filter(({ pattern }) => pattern.isBuffered).map(bufferedFrom);
      const length = reader.length();
      return Math.max(length - MAX_BUFFERED_CANARY_CHARS, Math.min(length, ...buffered));
    },
  };
}

function bufferedFrom({ count, pattern, positions }: Window): number {
  if (count === 0) return Number.POSITIVE_INFINITY;
  const first = Math.max(0, count - pattern.width + 1);
  return positions[first % pattern.width] ?? 0;
}

interface Reader {
  /** Whether a secret ends with this character. */
  read(char: string): boolean;
  length(): number;
}

/** The characters of ASCII that begin a word, or belong to an encoding. */
const LETTER = 1;
const DIGIT = 2;
const FOLDED = 4;
const BASE64 = 8;
const BASE32 = 16;
const HEX = 32;
const PRINTABLE = 64;
const KINDS = Uint8Array.from({ length: 128 }, (_, code) => {
  const char = String.fromCharCode(code);
  const matches = (pattern: RegExp, kind: number): number => (pattern.test(char) ? kind : 0);
  return (
    matches(/[a-z]/i, LETTER) |
    matches(/\d/, DIGIT) |
    matches(/[a-z\d@$]/i, FOLDED) |
    matches(/[a-z\d+/_-]/i, BASE64) |
    matches(/[a-z2-7]/i, BASE32) |
    matches(/[a-f\d]/i, HEX) |
    matches(/[!-~]/, PRINTABLE)
  );
});
const tableOf = (map: (char: string) => string): Uint8Array =>
  Uint8Array.from({ length: 128 }, (_, code) => map(String.fromCharCode(code)).charCodeAt(0));
const FOLD = tableOf((char) => foldChar(char.toLowerCase()));
const LOWER = tableOf((char) => char.toLowerCase());
const UPPER = tableOf((char) => char.toUpperCase());
const URL_SAFE = tableOf((char) => (char === '-' ? '+' : char === '_' ? '/' : char));
const LINE_FEED = 10;
const APOSTROPHE = 39;
/** Letters that stand before numbers, as in `0x63`, `U+0063`, `0b11` and `0o143`. */
const PREFIXES = new Set(Array.from('xuobXUOB', (char) => char.charCodeAt(0)));

function createReader(views: Views): Reader {
  let position = 0;
  let isWordStart = true;
  let isLineStart = true;

  /** One character after the removal of accents and styles. */
  function readPlain(code: number): boolean {
    const kind = KINDS[code] ?? 0;
    const folded = FOLD[code] ?? 0;
    const isLetter = (kind & LETTER) !== 0;
    let isFound = false;
    if ((kind & FOLDED) !== 0) isFound = feedAll(views.folded, folded, position);
    if (isLetter) {
      isFound = feedAll(views.letters, folded, position) || isFound;
      if (isWordStart) isFound = feedAll(views.initials, folded, position) || isFound;
      if (isLineStart) isFound = feedAll(views.lineInitials, folded, position) || isFound;
      isLineStart = false;
    }
    if ((kind & (LETTER | DIGIT)) !== 0) isWordStart = false;
    else if (code !== APOSTROPHE) isWordStart = true;
    if (code === LINE_FEED) isLineStart = true;
    return readEncodings(code, kind) || isFound;
  }

  function readEncodings(code: number, kind: number): boolean {
    let isFound = false;
    if ((kind & PRINTABLE) !== 0) isFound = feedAll(views.printable, code, position);
    if ((kind & BASE64) !== 0) {
      isFound = feedAll(views.base64, URL_SAFE[code] ?? 0, position) || isFound;
    }
    if ((kind & BASE32) !== 0) {
      isFound = feedAll(views.base32, UPPER[code] ?? 0, position) || isFound;
    }
    const isOtherLetter = (kind & LETTER) !== 0 && !PREFIXES.has(code);
    if ((kind & HEX) !== 0) isFound = feedAll(views.hex, LOWER[code] ?? 0, position) || isFound;
    else if (isOtherLetter) restart(views.hex);
    if ((kind & DIGIT) !== 0) isFound = feedAll(views.digits, code, position) || isFound;
    else if (isOtherLetter) restart(views.digits);
    const morse = MORSE_SIGNS.get(code);
    if (morse !== undefined) isFound = feedAll(views.morse, morse, position) || isFound;
    else if ((kind & (LETTER | DIGIT)) !== 0) restart(views.morse);
    return isFound;
  }

  return {
    length: () => position,
    read(char) {
      let isFound = false;
      const plain = toPlain(char);
      for (let at = 0; at < plain.length; at += 1) {
        isFound = readPlain(plain.charCodeAt(at)) || isFound;
      }
      position += char.length;
      return isFound;
    },
  };
}

const MORSE_SIGNS = new Map(
  Array.from('..·.•.--–-—-_-'.match(/../g) ?? [], (pair) => [
    pair.charCodeAt(0),
    pair.charCodeAt(1),
  ]),
);

const KNOWN = new Map<string, string>();
const MAX_KNOWN = 4_096;
/** Letters of flags, and invisible copies of ASCII. */
const REGIONAL_A = 0x1f1e6;
const TAG_SPACE = 0xe0020;

/** The ASCII characters that a reader sees in a character; itself if it is ASCII. */
function toPlain(char: string): string {
  if (char <= '\u007F') return char;
  const known = KNOWN.get(char);
  if (known !== undefined) return known;
  const code = char.codePointAt(0) ?? 0;
  let plain = char.normalize('NFKD').replaceAll(/[^\0-\u007F·•–—]/g, '');
  if (code >= REGIONAL_A && code < REGIONAL_A + 26) {
    plain = String.fromCharCode(97 + code - REGIONAL_A);
  } else if (code >= TAG_SPACE && code <= TAG_SPACE + 0x5e) {
    plain = String.fromCodePoint(code - TAG_SPACE + 0x20);
  } else if (plain === '') plain = LOOKALIKES.get(char.toLowerCase()) ?? '';
  if (KNOWN.size >= MAX_KNOWN) KNOWN.clear();
  KNOWN.set(char, plain);
  return plain;
}

/** Cyrillic and Greek letters that look like a Latin one. */
const LOOKALIKES = new Map(
  Array.from(
    'аaеeоoрpсcхxуyіiѕsјjԁdһhӏlԛqԝwвbнhкkмmтtгrпnαaοoρpνvυuκkχxτtβbγyωw'.match(/../g) ?? [],
    (pair): [string, string] => [pair.charAt(0), pair.charAt(1)],
  ),
);

function feedAll(windows: readonly Window[], code: number, position: number): boolean {
  let isFound = false;
  for (const window of windows) isFound = feed(window, code, position) || isFound;
  return isFound;
}

function feed(window: Window, code: number, position: number): boolean {
  const { pattern, codes, positions } = window;
  const at = window.count % pattern.width;
  const outgoing = window.count >= pattern.width ? (codes[at] ?? 0) : 0;
  window.hash = (Math.imul(window.hash, BASE) + code - Math.imul(outgoing, pattern.power)) | 0;
  codes[at] = code;
  positions[at] = position;
  window.count += 1;
  if (window.count < pattern.width) return false;
  if (pattern.filter[window.hash >>> (32 - FILTER_BITS)] !== 1) return false;
  return pattern.texts.has(textOf(window));
}

function textOf({ codes, count, pattern }: Window): string {
  const start = count % pattern.width;
  return String.fromCharCode(...codes.subarray(start), ...codes.subarray(0, start));
}

function restart(windows: readonly Window[]): void {
  for (const window of windows) {
    window.count = 0;
    window.hash = 0;
  }
}
