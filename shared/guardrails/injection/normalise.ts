import { UNSPACED_WORDS } from './lexicon.ts';

/** Characters without a picture: zero-width ones, direction marks, variation selectors. */
const INVISIBLE = /\p{Default_Ignorable_Code_Point}/gu;
const COMBINING = /[\u0300-\u036F\u093C]/g;
/** Unicode tags: an invisible copy of ASCII in which text can be hidden from a reader. */
const TAGS = /[\u{E0020}-\u{E007E}]+/gu;
const NON_ASCII = /[^\0-\u007F]/;

/** Cyrillic, Greek and other letters that look like a Latin one (Unicode TR 39, the common ones). */
const LOOKALIKES = new Map<string, string>(
  pairs(
    'аaеeоoрpсcхxуyіiѕsјjԁdһhӏlԛqԝwѵvгrтtкkмmнhвbпn',
    'αaεeοoρpιiνvτtυuκkχxγyηnωwβbμuσo',
    'ıiɑaɡgƖlʟlɪiʀrᴀaᴄcᴅdᴇeᴍmɴnᴏoᴘpꜱsᴛtᴜuᴠvᴡwᴢzꜰfɢgʜhᴊjᴋkʙb',
  ),
);
/** Digits and signs in the place of letters. */
const LEET = new Map<string, string>(pairs('0o1i3e4a5s7t8b@a$s!i|l+t'));

function pairs(...texts: readonly string[]): [string, string][] {
  return texts.flatMap((text) =>
    Array.from(text.match(/[^]{2}/g) ?? [], (pair): [string, string] => [
      pair.charAt(0),
      pair.charAt(1),
    ]),
  );
}

/** Lower case without accents, invisible characters, lookalikes and digits in place of letters. */
export function normalise(text: string): string {
  if (!NON_ASCII.test(text)) return unmask(text.toLowerCase());
  const shown = text.replaceAll(TAGS, (tags) => ` ${untag(tags)} `).replaceAll(INVISIBLE, '');
  const plain = shown.normalize('NFKD').replaceAll(COMBINING, '').normalize('NFKC').toLowerCase();
  return unmask(plain.replaceAll(/[\p{L}\p{M}]+/gu, toLatin)).replaceAll(UNSPACED_WORDS, ' $& ');
}

function untag(tags: string): string {
  return Array.from(tags, (tag) => String.fromCodePoint((tag.codePointAt(0) ?? 0) - 0xe0000)).join(
    '',
  );
}

/** A word that mixes scripts is written with lookalikes; a Russian or Greek word is left alone. */
function toLatin(word: string): string {
  if (!NON_ASCII.test(word) || !/[a-zıɑ-ʟᴀ-ᴢ]/.test(word)) return word;
  return Array.from(word, (char) => LOOKALIKES.get(char) ?? char).join('');
}

const SPACED = /(?<![\p{L}\p{N}])(?:\p{L}[ .\-_*]){4,64}\p{L}(?![\p{L}\p{N}])/gu;
const MASKED =
  /(?<![\w@$!|+])(?=[\w@$!|+]{0,31}[a-z])(?=[\w@$!|+]{0,31}[0134578@$!|+])[\w@$!|+]{3,32}(?![\w@$!|+])/g;

/** The words of joined letters: without blanks between words, only frequent ones can be told. */
const JOINED =
  /ignore|disregard|forget|override|previous|prior|above|instructions?|rules|prompt|system|reveal|repeat|print|show|tell|your|everything|without|all|the|say/g;

/** Joins letters that are spaced out and reads digits between letters as the letters they look like. */
function unmask(text: string): string {
  return text.replaceAll(SPACED, joinLetters).replaceAll(MASKED, (word) => {
    const inner = word.replace(/[!|+]+$/, '');
    const tail = word.slice(inner.length);
    if (!/[a-z][0134578@$!|+]+[a-z]|^[0134578@$!|+][a-z]{3}/.test(inner)) return word;
    return Array.from(inner, (char) => LEET.get(char) ?? char).join('') + tail;
  });
}

function joinLetters(spaced: string): string {
  return ` ${spaced.replaceAll(/[ .\-_*]/g, '').replaceAll(JOINED, ' $& ')} `;
}
