/** Which characters of a text a view keeps. A secret is searched for in each view. */
export type ViewName =
  /** Letters and digits in lower case; digits that look like a letter are that letter. */
  | 'folded'
  /** Letters alone, for lists with numbers. */
  | 'letters'
  /** The first letters of words, and of lines. */
  | 'initials'
  | 'lineInitials'
  /** Everything printable, for ROT47. */
  | 'printable'
  /** The alphabets of encodings. */
  | 'base64'
  | 'base32'
  | 'hex'
  | 'digits'
  | 'morse';

/** Texts of one length that a view must not contain. */
export interface Pattern {
  readonly view: ViewName;
  readonly width: number;
  readonly texts: ReadonlySet<string>;
  /** Whether a stream holds back what may become one of the texts. */
  readonly isBuffered: boolean;
}

/** So many characters in a row are a leak: a part of a secret helps too. */
const WINDOW = 8;
/** A passage of the system prompt: shorter ones occur in honest answers. */
const PASSAGE = 48;
/** Shortest secret, in letters and digits. */
export const MIN_SECRET_CHARS = 6;

const ALPHABET = 'abcdefghijklmnopqrstuvwxyz';
const MORSE =
  '.- -... -.-. -.. . ..-. --. .... .. .--- -.- .-.. -- -. --- .--. --.- .-. ... - ..- ...- .-- -..- -.-- --..'.split(
    ' ',
  );
const BASE32 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';

/** Letters that look alike are one letter, on both sides of a comparison. */
const ALIKE = new Map(
  Array.from('0o1i3e4a5s7t8bli@a$s'.match(/../g) ?? [], (pair) => [pair[0], pair[1]]),
);

export function foldChar(char: string): string {
  return ALIKE.get(char) ?? char;
}

function fold(text: string): string {
  return Array.from(text, foldChar).join('');
}

/** Letters and digits in lower case. */
function plain(text: string): string {
  return text
    .normalize('NFKD')
    .toLowerCase()
    .replaceAll(/[^a-z0-9]/g, '');
}

/** The patterns by which texts of up to a few hundred characters are found in any encoding. */
export function patternsOf(secrets: readonly string[], prompt: string): readonly Pattern[] {
  const table = new Map<
    string,
    { view: ViewName; width: number; isBuffered: boolean; texts: Set<string> }
  >();

  function add(
    view: ViewName,
    text: string,
    options: { width: number; isBuffered?: boolean },
  ): void {
    const { width, isBuffered = true } = options;
    if (text.length < width) return;
    const key = `${view} ${width}`;
    const row = table.get(key) ?? { view, width, isBuffered, texts: new Set<string>() };
    table.set(key, row);
    for (let at = 0; at + width <= text.length; at += 1) row.texts.add(text.slice(at, at + width));
  }

  for (const secret of secrets) addSecret(secret, add);
  const passage = plain(prompt);
  for (const text of [passage, reverse(passage), rotate(passage, 13)]) {
    add('folded', fold(text), { width: PASSAGE, isBuffered: false });
  }
  for (const text of base64Of(prompt))
    add('base64', text, { width: PASSAGE + 16, isBuffered: false });
  add('hex', Buffer.from(prompt).toString('hex'), { width: 2 * PASSAGE, isBuffered: false });
  return [...table.values()];
}

type Add = (
  view: ViewName,
  text: string,
  options: { readonly width: number; readonly isBuffered?: boolean },
) => void;

function addSecret(secret: string, add: Add): void {
  const text = plain(secret);
  const width = Math.min(WINDOW, text.length);
  const letters = text.replaceAll(/\d/g, '');
  for (const order of [text, reverse(text)]) {
    for (const shifted of shiftsOf(order)) add('folded', fold(shifted), { width });
    add('folded', fold(order.replaceAll(/./g, '$&$&')), { width: 2 * width });
    if (letters.length < MIN_SECRET_CHARS) continue;
    const ordered = order.replaceAll(/\d/g, '');
    const lettersWidth = Math.min(WINDOW, letters.length);
    for (const shifted of shiftsOf(ordered)) add('letters', fold(shifted), { width: lettersWidth });
    add('initials', fold(ordered), { width: lettersWidth });
    add('lineInitials', fold(ordered), { width: lettersWidth, isBuffered: false });
  }
  const cases = [secret, secret.toLowerCase(), secret.toUpperCase(), text, text.toUpperCase()];
  for (const written of new Set([...cases, reverse(secret), reverse(text)])) {
    addCodes(written, { width: Math.min(WINDOW, written.length), add });
    // Bytes in the middle of a base64 text have three alignments, of a base32 text five.
    const bytes = Buffer.byteLength(written);
    for (const encoded of base64Of(written)) {
      add('base64', encoded, {
        width: Math.max(5, Math.floor(((Math.min(bytes, WINDOW) - 2) * 4) / 3)),
      });
    }
    for (const encoded of base32Of(written)) {
      add('base32', encoded, {
        width: Math.max(7, Math.floor(((Math.min(bytes, WINDOW) - 2) * 8) / 5)),
      });
    }
    add('printable', rotate47(written), { width: Math.min(WINDOW, written.length) });
  }
}

/** Numbers for letters: code points in four bases, and places in the alphabet. */
function addCodes(
  written: string,
  { width, add }: { readonly width: number; readonly add: Add },
): void {
  const codes = Array.from(written, (char) => char.charCodeAt(0));
  const join = (toText: (code: number) => string) => codes.map(toText).join('');
  add(
    'hex',
    join((code) => code.toString(16)),
    { width: 2 * width },
  );
  add(
    'hex',
    join((code) => `0${code.toString(16)}`),
    { width: 3 * width - 1 },
  );
  add(
    'hex',
    join((code) => `00${code.toString(16)}`),
    { width: 4 * width - 2 },
  );
  add('digits', join(String), { width: 2 * width });
  add(
    'digits',
    join((code) => String(code).padStart(3, '0')),
    { width: 3 * width - 1 },
  );
  add(
    'digits',
    join((code) => code.toString(8)),
    { width: 3 * width - 1 },
  );
  add(
    'digits',
    join((code) => code.toString(2).padStart(8, '0')),
    { width: 8 * width - 7 },
  );
  add(
    'digits',
    join((code) => code.toString(2)),
    { width: 6 * width },
  );
  if (!/^[a-z]+$/.test(written)) return;
  const numbers = Array.from(written, (char) => ALPHABET.indexOf(char));
  add('digits', numbers.map((number) => number + 1).join(''), { width: Math.floor(1.5 * width) });
  add('morse', numbers.map((number) => MORSE[number]).join(''), { width: 2 * width });
}

/** The text, and the text with every letter moved by the same number of places or mirrored. */
function shiftsOf(text: string): string[] {
  const shifts = Array.from({ length: ALPHABET.length }, (_, shift) => rotate(text, shift));
  const mirrored = text.replaceAll(/[a-z]/g, (char) =>
    ALPHABET.charAt(25 - ALPHABET.indexOf(char)),
  );
  return [...shifts, mirrored];
}

function rotate(text: string, shift: number): string {
  return text.replaceAll(/[a-z]/g, (char) =>
    ALPHABET.charAt((ALPHABET.indexOf(char) + shift) % ALPHABET.length),
  );
}

function rotate47(text: string): string {
  return text.replaceAll(/[!-~]/g, (char) =>
    String.fromCharCode(33 + ((char.charCodeAt(0) - 33 + 47) % 94)),
  );
}

function reverse(text: string): string {
  return Array.from(text).toReversed().join('');
}

/** Without the characters at both ends that depend on the neighbours. */
function base64Of(text: string): string[] {
  const bytes = Buffer.byteLength(text);
  return [0, 1, 2].map((before) => {
    const encoded = Buffer.from('\0'.repeat(before) + text)
      .toString('base64')
      .replace(/=+$/, '');
    return encoded.slice(Math.ceil((before * 8) / 6), Math.floor(((before + bytes) * 8) / 6));
  });
}

function base32Of(text: string): string[] {
  const bytes = Buffer.byteLength(text);
  return [0, 1, 2, 3, 4].map((before) => {
    const bits = Array.from(Buffer.from('\0'.repeat(before) + text), (byte) =>
      byte.toString(2).padStart(8, '0'),
    ).join('');
    const encoded = Array.from(bits.match(/.{5}/g) ?? [], (group) =>
      BASE32.charAt(Number.parseInt(group, 2)),
    ).join('');
    return encoded.slice(Math.ceil((before * 8) / 5), Math.floor(((before + bytes) * 8) / 5));
  });
}
