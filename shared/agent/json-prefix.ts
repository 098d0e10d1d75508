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

/** `object`: the outermost value must be an object. */
export function createJsonPrefix(root: 'object' | 'any'): JsonPrefix {
  const open: ('{' | '[')[] = [];
  let place: Place = 'value';
  let token: Token = NONE;
  let isBroken = false;

  function endValue(): boolean {
    token = NONE;
    place = 'after';
    return true;
  }

  function beginValue(char: string): boolean {
    if (char === '{' || char === '[') {
      if (open.length >= MAX_DEPTH || (root === 'object' && open.length === 0 && char === '[')) {
        return false;
      }
      open.push(char);
      place = char === '{' ? 'first-key' : 'first-item';
      return true;
    }
    if (root === 'object' && open.length === 0) return false;
    if (char === '"') token = { kind: 'string', isKey: false };
    else if (char === '-') token = { kind: 'number', state: 'minus' };
    else if (DIGIT.test(char)) token = { kind: 'number', state: char === '0' ? 'zero' : 'integer' };
    else if (Object.hasOwn(LITERALS, char)) token = { kind: 'literal', rest: LITERALS[char] ?? '' };
    else return false;
    return true;
  }

  function close(char: string): boolean {
    if (open.at(-1) !== (char === '}' ? '{' : '[')) return false;
    open.pop();
    return endValue();
  }

  function addBetweenTokens(char: string): boolean {
    if (WHITE_SPACE.test(char)) return true;
    switch (place) {
      case 'value':
        return beginValue(char);
      case 'first-item':
        return char === ']' ? close(char) : beginValue(char);
      case 'first-key':
      case 'key':
        if (char === '}' && place === 'first-key') return close(char);
        token = { kind: 'string', isKey: true };
        return char === '"';
      case 'colon':
        place = 'value';
        return char === ':';
      case 'after':
        if (char === '}' || char === ']') return close(char);
        place = open.at(-1) === '{' ? 'key' : 'value';
        return char === ',' && open.length > 0;
    }
  }

  function addToString(char: string, isKey: boolean): boolean {
    if (char === '"') {
      if (!isKey) return endValue();
      token = NONE;
      place = 'colon';
    } else if (char === '\\') token = { kind: 'backslash', isKey };
    // Control characters must be escaped.
    return char >= ' ';
  }

  function add(char: string): boolean {
    switch (token.kind) {
      case 'none':
        return addBetweenTokens(char);
      case 'string':
        return addToString(char, token.isKey);
      case 'backslash': {
        const { isKey } = token;
        token = char === 'u' ? { kind: 'escape', isKey, digits: 4 } : { kind: 'string', isKey };
        return '"\\/bfnrtu'.includes(char);
      }
      case 'escape': {
        const { isKey, digits } = token;
        token =
          digits === 1 ? { kind: 'string', isKey } : { kind: 'escape', isKey, digits: digits - 1 };
        return /[0-9a-f]/i.test(char);
      }
      case 'literal': {
        const { rest } = token;
        if (rest.length === 1) endValue();
        else token = { kind: 'literal', rest: rest.slice(1) };
        return char === rest[0];
      }
      case 'number':
        return addToNumber(char, token.state);
    }
  }

  function addToNumber(char: string, state: NumberState): boolean {
    const next = NUMBER[state](char);
    if (next !== undefined) {
      token = { kind: 'number', state: next };
      return true;
    }
    if (!COMPLETE_NUMBERS.has(state)) return false;
    endValue();
    return addBetweenTokens(char);
  }

  return {
    push(piece) {
      for (let at = 0; at < piece.length && !isBroken; at += 1) isBroken = !add(piece[at] ?? '');
      return !isBroken;
    },
  };
}
