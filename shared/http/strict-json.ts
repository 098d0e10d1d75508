import { ServiceError } from '../errors.ts';

/** Deeper or wider than any honest request, and still scanned in well under a millisecond. */
const MAX_DEPTH = 32;
const MAX_KEYS = 1_000;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COLON = 0x3a;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;

/**
 * JSON text as a value, with the ambiguities of JSON refused: nesting that exhausts a stack,
 * key floods, duplicate keys (readers differ in which one wins), numbers that overflow to
 * infinity, lone surrogates (they change when they are written again), and `__proto__`.
 * @throws ServiceError invalid_json, invalid_encoding or invalid_request
 */
export function parseJson(text: string): unknown {
  let value: unknown;
  try {
    // Safe at any depth: the engine parses without recursion, and the caller bounds the length.
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

/** Walks text that is known to be JSON: the parsed value no longer shows duplicate keys. */
function checkShape(text: string): void {
  const open: (Set<string> | undefined)[] = [];
  let keys = 0;
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at);
    if (code === QUOTE) {
      const end = endOfString(text, at);
      if (isKey(text, end)) {
        keys += 1;
        if (keys > MAX_KEYS) throw refused(`at most ${MAX_KEYS} keys`);
        addKey(open.at(-1), text.slice(at, end + 1));
      }
      at = end;
    } else if (code === OPEN_BRACE || code === OPEN_BRACKET) {
      open.push(code === OPEN_BRACE ? new Set() : undefined);
      if (open.length > MAX_DEPTH) throw refused(`at most ${MAX_DEPTH} levels of nesting`);
    } else if (code === CLOSE_BRACE || code === CLOSE_BRACKET) {
      open.pop();
    }
  }
}

function endOfString(text: string, start: number): number {
  let at = start + 1;
  while (at < text.length && text.charCodeAt(at) !== QUOTE)
    at += text.charCodeAt(at) === BACKSLASH ? 2 : 1;
  return at;
}

function isKey(text: string, endOfName: number): boolean {
  let at = endOfName + 1;
  while (' \n\t\r'.includes(text[at] ?? 'x')) at += 1;
  return text.charCodeAt(at) === COLON;
}

function addKey(keys: Set<string> | undefined, quoted: string): void {
  const name = quoted.includes('\\') ? String(JSON.parse(quoted)) : quoted.slice(1, -1);
  if (name === '__proto__') throw refused('no key named __proto__');
  if (keys?.has(name) === true) throw refused('no key twice in one object');
  keys?.add(name);
}

/** The depth is bounded by now, so recursion is safe. */
function checkValues(value: unknown): void {
  if (typeof value === 'string') {
    if (!value.isWellFormed()) throw notUnicode();
  } else if (typeof value === 'number') {
    if (!Number.isFinite(value)) throw refused('only numbers that a double can hold');
  } else if (Array.isArray(value)) {
    for (const item of value) checkValues(item);
  } else if (typeof value === 'object' && value !== null) {
    for (const [key, inner] of Object.entries(value)) {
      if (!key.isWellFormed()) throw notUnicode();
      checkValues(inner);
    }
  }
}

function refused(wanted: string): ServiceError {
  return new ServiceError('invalid_request', `Cannot accept the body: it must have ${wanted}`);
}

function notUnicode(): ServiceError {
  return new ServiceError(
    'invalid_encoding',
    'Cannot accept the body: its strings must be well-formed Unicode',
  );
}
