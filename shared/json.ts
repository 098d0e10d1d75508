import { ServiceError } from './errors.ts';

/** More than any honest request has, and a body at these limits is scanned in under a millisecond. */
const MAX_DEPTH = 32;
const MAX_KEYS = 1_000;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COLON = 0x3a;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;

/** The value of a JSON text, or undefined if it is not JSON. Check the value with a schema. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** They end no line of JSON, but the line readers of some languages split at them. */
const UNICODE_LINE_SEPARATORS = /[\u0085\u2028\u2029]/g;

/** JSON in one line for every line reader, such as `splitlines` of Python. */
export function toJsonLine(value: unknown): string {
  return JSON.stringify(value).replaceAll(
    UNICODE_LINE_SEPARATORS,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/**
 * The value of a JSON text that callers sent. It refuses what JSON leaves open: nesting that
 * exhausts a stack, too many keys, duplicate keys (parsers differ in which one counts), numbers that
 * overflow to infinity, lone surrogates (they change when they are written again), and `__proto__`.
 * @throws ServiceError invalid_json, invalid_encoding or invalid_request
 */
export function parseStrictJson(text: string): unknown {
  let value: unknown;
  try {
    // Safe at any depth: the engine parses without recursion. The caller limits the length.
    value = JSON.parse(text);
  } catch (cause) {
    throw new ServiceError('invalid_json', 'Cannot parse the body: it must be one JSON value', {
      cause,
    });
  }
  checkShape(text);
  checkValues(value);
  return value;
}

/** Scans a valid JSON text: the parsed value no longer shows duplicate keys. */
function checkShape(text: string): void {
  const open: (Set<string> | undefined)[] = [];
  let keys = 0;
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) {
      const end = endOfString(text, at);
      if (isKey(text, end)) {
        keys += 1;
        if (keys > MAX_KEYS) throw invalidShape(`at most ${MAX_KEYS} keys`);
        addKey(open.at(-1), text.slice(at, end + 1));
      }
      at = end;
    } else if (code === OPEN_BRACE || code === OPEN_BRACKET) {
      open.push(code === OPEN_BRACE ? new Set() : undefined);
      if (open.length > MAX_DEPTH) throw invalidShape(`at most ${MAX_DEPTH} levels of nesting`);
    } else if (code === CLOSE_BRACE || code === CLOSE_BRACKET) {
      open.pop();
    }
  }
}

function endOfString(text: string, start: number): number {
  for (let from = start + 1; ;) {
    const quote = text.indexOf('"', from);
    if (quote === -1) return text.length;
    let backslashes = 0;
    while (text.charCodeAt(quote - 1 - backslashes) === BACKSLASH) backslashes += 1;
    if (backslashes % 2 === 0) return quote;
    from = quote + 1;
  }
}

function isKey(text: string, endOfName: number): boolean {
  let at = endOfName + 1;
  while (' \n\t\r'.includes(text[at] ?? 'x')) at += 1;
  return text.charCodeAt(at) === COLON;
}

function addKey(keys: Set<string> | undefined, quoted: string): void {
  const name = quoted.includes('\\') ? String(JSON.parse(quoted)) : quoted.slice(1, -1);
  if (name === '__proto__') throw invalidShape('no key named __proto__');
  if (keys?.has(name) === true) throw invalidShape('no key twice in one object');
  keys?.add(name);
}

/** The depth is checked before, so recursion is safe. */
function checkValues(value: unknown): void {
  if (typeof value === 'string') {
    if (!value.isWellFormed()) throw notUnicode();
  } else if (typeof value === 'number') {
    if (!Number.isFinite(value)) throw invalidShape('only numbers that a double can hold');
  } else if (Array.isArray(value)) {
    for (const item of value) checkValues(item);
  } else if (typeof value === 'object' && value !== null) {
    for (const [key, inner] of Object.entries(value)) {
      if (!key.isWellFormed()) throw notUnicode();
      checkValues(inner);
    }
  }
}

function invalidShape(expected: string): ServiceError {
  return new ServiceError('invalid_request', `Cannot accept the body: it must have ${expected}`);
}

function notUnicode(): ServiceError {
  return new ServiceError(
    'invalid_encoding',
    'Cannot accept the body: its strings must be well-formed Unicode',
  );
}
