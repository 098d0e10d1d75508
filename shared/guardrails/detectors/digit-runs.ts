/** Digits without anything between them. Offsets are UTF-16 units of the text. */
export interface DigitGroup {
  readonly start: number;
  readonly end: number;
}

/** Digit groups with at most three separators between two of them, as people write numbers. */
export type DigitRun = readonly DigitGroup[];

/** The longest text between two groups of one number. */
const MAX_SEPARATOR_CHARS = 3;
const SEPARATORS = new Set(' \t().-/'.split('').map((char) => char.charCodeAt(0)));

const NON_ASCII = /[^\0-\u007F]/;
/** Blocks of ten digits: Arabic-Indic, its Persian form, Devanagari, Bengali, Thai, full-width. */
const DIGIT_BLOCKS = [0x660, 0x6f0, 0x966, 0x9e6, 0xe50, 0xff10];
const REPLACEMENTS = new Map<number, string>([
  ...mapAll('\u00A0\u2002\u2003\u2007\u2009\u200A\u202F\u3000\u200B\u200C\u200D\u2060\uFEFF', ' '),
  ...mapAll('\u2010\u2011\u2012\u2013\u2014\u2015\u2212\u30FC\uFE63\uFF0D', '-'),
  ...mapAll('\uFF0B', '+'),
  ...mapAll('\uFF08', '('),
  ...mapAll('\uFF09', ')'),
  ...mapAll('\uFF0E\u2024', '.'),
  ...mapAll('\uFF0F', '/'),
  ...mapAll('\uFF1A', ':'),
  ...mapAll('\uFF20\uFE6B', '@'),
]);

function mapAll(chars: string, replacement: string): [number, string][] {
  return chars.split('').map((char) => [char.charCodeAt(0), replacement]);
}

/**
 * The text with the digits and separators of other scripts as ASCII, and invisible characters as
 * blanks. Every UTF-16 unit becomes one unit, so offsets in the result are offsets in the text.
 */
export function toAsciiDigits(text: string): string {
  if (!NON_ASCII.test(text)) return text;
  let result = '';
  let copied = 0;
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index);
    if (code < 0x80) continue;
    const replacement = REPLACEMENTS.get(code) ?? digitOf(code);
    if (replacement === undefined) continue;
    result += text.slice(copied, index) + replacement;
    copied = index + 1;
  }
  return result + text.slice(copied);
}

function digitOf(code: number): string | undefined {
  const block = DIGIT_BLOCKS.find((zero) => code >= zero && code < zero + 10);
  return block === undefined ? undefined : String(code - block);
}

/** Every run of digit groups, in order. Takes time linear in the length of the text. */
export function findDigitRuns(text: string): DigitRun[] {
  const runs: DigitRun[] = [];
  let run: DigitGroup[] = [];
  let index = 0;
  while (index < text.length) {
    if (!isDigitAt(text, index)) {
      index += 1;
      continue;
    }
    const start = index;
    while (isDigitAt(text, index)) index += 1;
    const previous = run.at(-1);
    if (previous !== undefined && !isSeparator(text, previous.end, start)) {
      runs.push(run);
      run = [];
    }
    run.push({ start, end: index });
  }
  if (run.length > 0) runs.push(run);
  return runs;
}

export function isDigitAt(text: string, index: number): boolean {
  const code = text.charCodeAt(index);
  return code >= 48 && code <= 57;
}

function isSeparator(text: string, start: number, end: number): boolean {
  if (end - start > MAX_SEPARATOR_CHARS) return false;
  for (let index = start; index < end; index += 1) {
    if (!SEPARATORS.has(text.charCodeAt(index))) return false;
  }
  return true;
}

/** The digits of some groups without their separators. */
export function digitsOf(text: string, groups: DigitRun): string {
  return groups.map(({ start, end }) => text.slice(start, end)).join('');
}

/** The text between consecutive groups. */
export function separatorsOf(text: string, groups: DigitRun): string[] {
  return groups.slice(1).map((group, index) => text.slice(groups[index]?.end, group.start));
}

/** Whether the character is an ASCII letter, a digit or an underscore. */
export function isWordAt(text: string, index: number): boolean {
  const code = text.charCodeAt(index);
  return (
    (code >= 48 && code <= 57) ||
    (code >= 65 && code <= 90) ||
    (code >= 97 && code <= 122) ||
    code === 95
  );
}
