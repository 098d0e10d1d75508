/** Follows a JSON text as it arrives. */
export interface JsonPrefix {
  /** Adds a piece. False if the whole text can no longer become valid JSON, now and later. */
  push(piece: string): boolean;
}

/** Deeper answers are not expected, and the stack of open brackets stays small. */
const MAX_DEPTH = 256;

/**
 * Where the reader stands. `value`: a value must begin; `first-item`: a value or the end of the
 * array; `first-key`: a key or the end of the object; `after`: a value is complete.
 */
type Place = 'value' | 'first-item' | 'first-key' | 'key' | 'colon' | 'after';

/** A token that has begun. In `escape`, `digits` hexadecimal digits are still missing. */
type Token =
  | { readonly kind: 'none' }
  | { readonly kind: 'string' | 'backslash'; readonly isKey: boolean }
  | { readonly kind: 'escape'; readonly isKey: boolean; readonly digits: number }
  | { readonly kind: 'literal'; readonly rest: string }
  | { readonly kind: 'number'; readonly state: NumberState };

type NumberState = 'minus' | 'zero' | 'integer' | 'point' | 'fraction' | 'e' | 'sign' | 'exponent';

const NONE: Token = { kind: 'none' };
const LITERALS: Readonly<Record<string, string>> = { t: 'rue', f: 'alse', n: 'ull' };
const WHITE_SPACE = /[ \t\n\r]/;
const DIGIT = /\d/;

/** Which state of a number follows a character; undefined where the number cannot go on with it. */
const NUMBER: Readonly<Record<NumberState, (char: string) => NumberState | undefined>> = {
  minus: (char) => (char === '0' ? 'zero' : DIGIT.test(char) ? 'integer' : undefined),
  zero: (char) => afterInteger(char),
  integer: (char) => (DIGIT.test(char) ? 'integer' : afterInteger(char)),
  point: (char) => (DIGIT.test(char) ? 'fraction' : undefined),
  fraction: (char) => (DIGIT.test(char) ? 'fraction' : isE(char) ? 'e' : undefined),
  e: (char) => (DIGIT.test(char) ? 'exponent' : char === '+' || char === '-' ? 'sign' : undefined),
  sign: (char) => (DIGIT.test(char) ? 'exponent' : undefined),
  exponent: (char) => (DIGIT.test(char) ? 'exponent' : undefined),
};
const COMPLETE_NUMBERS: ReadonlySet<NumberState> = new Set([
  'zero',
  'integer',
  'fraction',
  'exponent',
]);

function afterInteger(char: string): NumberState | undefined {
  if (char === '.') return 'point';
  return isE(char) ? 'e' : undefined;
}

function isE(char: string): boolean {
  return char === 'e' || char === 'E';
}

/** Where the reader of a text stands. Its functions return false if the text cannot continue. */
interface Reader {
  readonly root: 'object' | 'any';
  readonly open: ('{' | '[')[];
  place: Place;
  token: Token;
}

/** `object`: the outermost value must be an object. */
export function createJsonPrefix(root: 'object' | 'any'): JsonPrefix {
  const reader: Reader = { root, open: [], place: 'value', token: NONE };
  let canContinue = true;
  return {
    push(piece) {
      for (let at = 0; at < piece.length && canContinue; at += 1) {
        canContinue = add(reader, piece[at] ?? '');
      }
      return canContinue;
    },
  };
}

function add(reader: Reader, char: string): boolean {
  const { token } = reader;
  switch (token.kind) {
    case 'none':
      return addBetweenTokens(reader, char);
    case 'string':
      return addToString(reader, { char, isKey: token.isKey });
    case 'backslash': {
      const { isKey } = token;
      reader.token =
        char === 'u' ? { kind: 'escape', isKey, digits: 4 } : { kind: 'string', isKey };
      return '"\\/bfnrtu'.includes(char);
    }
    case 'escape': {
      const { isKey, digits } = token;
      reader.token =
        digits === 1 ? { kind: 'string', isKey } : { kind: 'escape', isKey, digits: digits - 1 };
      return /[0-9a-f]/i.test(char);
    }
    case 'literal': {
      const { rest } = token;
      if (rest.length === 1) endValue(reader);
      else reader.token = { kind: 'literal', rest: rest.slice(1) };
      return char === rest[0];
    }
    case 'number':
      return addToNumber(reader, { char, state: token.state });
  }
}

function addBetweenTokens(reader: Reader, char: string): boolean {
  if (WHITE_SPACE.test(char)) return true;
  const { place, open } = reader;
  switch (place) {
    case 'value':
      return beginValue(reader, char);
    case 'first-item':
      return char === ']' ? close(reader, char) : beginValue(reader, char);
    case 'first-key':
    case 'key':
      if (char === '}' && place === 'first-key') return close(reader, char);
      reader.token = { kind: 'string', isKey: true };
      return char === '"';
    case 'colon':
      reader.place = 'value';
      return char === ':';
    case 'after':
      if (char === '}' || char === ']') return close(reader, char);
      reader.place = open.at(-1) === '{' ? 'key' : 'value';
      return char === ',' && open.length > 0;
  }
}

function beginValue(reader: Reader, char: string): boolean {
  const { open, root } = reader;
  if (root === 'object' && open.length === 0 && char !== '{') return false;
  if (char === '{' || char === '[') {
    open.push(char);
    reader.place = char === '{' ? 'first-key' : 'first-item';
    return open.length <= MAX_DEPTH;
  }
  const token = beginToken(char);
  reader.token = token;
  return token.kind !== 'none';
}

function beginToken(char: string): Token {
  if (char === '"') return { kind: 'string', isKey: false };
  if (char === '-') return { kind: 'number', state: 'minus' };
  if (DIGIT.test(char)) return { kind: 'number', state: char === '0' ? 'zero' : 'integer' };
  const rest = Object.hasOwn(LITERALS, char) ? LITERALS[char] : undefined;
  return rest === undefined ? NONE : { kind: 'literal', rest };
}

function close(reader: Reader, char: '}' | ']'): boolean {
  if (reader.open.pop() !== (char === '}' ? '{' : '[')) return false;
  endValue(reader);
  return true;
}

function endValue(reader: Reader): void {
  reader.token = NONE;
  reader.place = 'after';
}

function addToString(
  reader: Reader,
  { char, isKey }: { readonly char: string; readonly isKey: boolean },
): boolean {
  if (char === '"') {
    if (isKey) {
      reader.token = NONE;
      reader.place = 'colon';
    } else endValue(reader);
  } else if (char === '\\') reader.token = { kind: 'backslash', isKey };
  // Control characters must be escaped.
  return char >= ' ';
}

function addToNumber(
  reader: Reader,
  { char, state }: { readonly char: string; readonly state: NumberState },
): boolean {
  const next = NUMBER[state](char);
  if (next !== undefined) {
    reader.token = { kind: 'number', state: next };
    return true;
  }
  if (!COMPLETE_NUMBERS.has(state)) return false;
  endValue(reader);
  return addBetweenTokens(reader, char);
}
