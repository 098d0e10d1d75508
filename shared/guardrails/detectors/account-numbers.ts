import { digitsOf, type DigitRun, isDigitAt, isWordAt, separatorsOf } from './digit-runs.ts';

/** A part of a text, in UTF-16 units. */
export interface TextRange {
  readonly start: number;
  readonly end: number;
}

const MIN_CARD_DIGITS = 12;
const MAX_CARD_DIGITS = 19;

/**
 * First digits and lengths of the card networks, as their public specifications and ISO/IEC 7812
 * list them: Visa, Mastercard, American Express, Diners, Discover, JCB, UnionPay, Maestro, Mir, RuPay.
 */
const NETWORKS =
  /^(?:4(?:\d{12}|\d{15}|\d{18})|(?:5[1-5]|22[2-9]|2[3-6]\d|27[01]|2720)\d*|3[47]\d{13}|3(?:0[0-5]|[68]\d|09)\d{11,16}|(?:6011|64[4-9]|65\d)\d{12,15}|35\d{14,17}|(?:1800|2131)\d{11}|62\d{14,17}|(?:5018|5020|5038|5893|6304|6759|676[1-3])\d{8,15}|220[0-4]\d{12,15}|(?:60|8[12]|508)\d{14})$/;
/** Mastercard's numbers have one length, which the ranges above do not say. */
const MASTERCARD = /^(?:5[1-5]|22[2-9]|2[3-6]\d|27[01]|2720)/;

/** Numbers of payment cards: a network's digits, a valid Luhn check digit, a usual grouping. */
export function findCardNumbers(text: string, runs: readonly DigitRun[]): TextRange[] {
  const found: TextRange[] = [];
  for (const run of runs) {
    for (let first = 0; first < run.length; first += 1) {
      const last = lastGroupOfCard(text, { run, first });
      const [start, end] = [run[first]?.start, run[last ?? -1]?.end];
      if (last === undefined || start === undefined || end === undefined) continue;
      found.push({ start, end });
      first = last;
    }
  }
  return found;
}

/** The index of the last group of the longest card number that begins with a group. */
function lastGroupOfCard(
  text: string,
  { run, first }: { readonly run: DigitRun; readonly first: number },
): number | undefined {
  let longest: number | undefined;
  let digits = 0;
  for (let last = first; last < run.length; last += 1) {
    digits += lengthOf(run[last]);
    if (digits > MAX_CARD_DIGITS) break;
    if (digits < MIN_CARD_DIGITS) continue;
    const isWhole = first === 0 && last === run.length - 1;
    // Cheap checks first: most windows of a long run end here.
    if (last > first && !isWhole && lengthOf(run[first]) !== 4) break;
    const groups = run.slice(first, last + 1);
    if (isCardNumber(digitsOf(text, groups)) && hasCardShape(text, { groups, isWhole })) {
      longest = last;
    }
  }
  return longest;
}

function hasCardShape(
  text: string,
  { groups, isWhole }: { readonly groups: DigitRun; readonly isWhole: boolean },
): boolean {
  const [start = 0, end = 0] = [groups[0]?.start, groups.at(-1)?.end];
  if (isInsideToken(text, start, end)) return false;
  const separators = separatorsOf(text, groups);
  if (separators.length === 0) return !isPartOfDecimal(text, start, end);
  if (new Set(separators).size > 1) return false;
  return isWhole || /^(?:(?:4,){2,4}[1-4]|4,6,[45])$/.test(groups.map(lengthOf).join(','));
}

/** Digits within a hexadecimal id, or followed by letters, are a part of something else. */
function isInsideToken(text: string, start: number, end: number): boolean {
  if (isWordAt(text, end)) return true;
  if (!isWordAt(text, start - 1)) return false;
  return /[0-9a-f]$/i.test(text.slice(Math.max(0, start - 4), start).replace(/^.*[g-z_]+$/i, ''));
}

function isPartOfDecimal(text: string, start: number, end: number): boolean {
  const isFraction = /[.,]/.test(text.charAt(start - 1)) && isDigitAt(text, start - 2);
  const hasFraction = /[.,]/.test(text.charAt(end)) && isDigitAt(text, end + 1);
  return isFraction || hasFraction;
}

function isCardNumber(digits: string): boolean {
  if (!NETWORKS.test(digits) || !isLuhnValid(digits)) return false;
  return !MASTERCARD.test(digits) || digits.length === 16;
}

/** The check of ISO/IEC 7812-1, annex B. */
function isLuhnValid(digits: string): boolean {
  let sum = 0;
  for (let index = 0; index < digits.length; index += 1) {
    const digit = digits.charCodeAt(digits.length - 1 - index) - 48;
    const doubled = index % 2 === 1 ? digit * 2 : digit;
    sum += doubled > 9 ? doubled - 9 : doubled;
  }
  return sum % 10 === 0;
}

const SOCIAL_SECURITY = /\b(?:ssn|social[\s-]security|soc\.?\s?sec|tax\s?payer|itin)\b/i;
const CONTEXT_CHARS = 48;

/** US social security numbers with separators, and without them beside a word that says so. */
export function findSocialSecurityNumbers(text: string, runs: readonly DigitRun[]): TextRange[] {
  return runs.flatMap((run) =>
    run.flatMap((group, first) => {
      const count = lengthOf(group) === 9 ? 1 : 3;
      const isShaped = count === 1 || (lengthOf(group) === 3 && lengthOf(run[first + 1]) === 2);
      const groups = isShaped ? run.slice(first, first + count) : [];
      if (!isShaped || !isSocialSecurityNumber(text, { groups, run })) return [];
      return [{ start: group.start, end: groups.at(-1)?.end ?? group.end }];
    }),
  );
}

function isSocialSecurityNumber(
  text: string,
  { groups, run }: { readonly groups: DigitRun; readonly run: DigitRun },
): boolean {
  const [start = 0, end = 0] = [groups[0]?.start, groups.at(-1)?.end];
  if (!isAssignable(digitsOf(text, groups))) return false;
  if (isWordAt(text, start - 1) || isWordAt(text, end)) return false;
  const before = text.slice(Math.max(0, start - CONTEXT_CHARS), start);
  if (groups.length === 1) return SOCIAL_SECURITY.test(before);
  const [first, second] = separatorsOf(text, groups);
  if (groups.map(lengthOf).join() !== '3,2,4' || first !== second) return false;
  const isWhole = groups.length === run.length;
  return /^[ .-]$/.test(first ?? '') && (isWhole || SOCIAL_SECURITY.test(before));
}

/** Areas 000, 666 and 900 to 999, group 00 and serial 0000 are never assigned (SSA). */
function isAssignable(digits: string): boolean {
  return /^(?!000|666|9)\d{3}(?!00)\d{2}(?!0000)\d{4}$/.test(digits);
}

/** Lengths of IBANs by country: the IBAN registry of SWIFT, and countries that use the format. */
const IBAN_LENGTHS = new Map(
  'AD24 AE23 AL28 AO25 AT20 AZ28 BA20 BE16 BF28 BG22 BH22 BI27 BJ28 BR29 BY28 CF27 CG27 CH21 CI28 CM27 CR22 CV25 CY28 CZ24 DE22 DJ27 DK18 DO28 DZ26 EE20 EG29 ES24 FI18 FK18 FO18 FR27 GA27 GB22 GE22 GI23 GL18 GQ27 GR27 GT28 GW25 HN28 HR21 HU28 IE22 IL23 IQ23 IR26 IS26 IT27 JO30 KM27 KW30 KZ20 LB28 LC32 LI21 LT20 LU20 LV21 LY25 MA28 MC27 MD24 ME22 MG27 MK19 ML28 MN20 MR27 MT31 MU30 MZ25 NE28 NI28 NL18 NO15 OM23 PK24 PL28 PS29 PT25 QA29 RO24 RS22 RU33 SA24 SC31 SD18 SE24 SI19 SK24 SM27 SN28 SO23 ST25 SV28 TD27 TG28 TL23 TN24 TR26 UA29 VA22 VG24 XK20 YE30'
    .split(' ')
    .map((entry) => [entry.slice(0, 2), Number(entry.slice(2))]),
);
const IBAN_START = /(?<![\p{L}\p{N}_])[a-z]{2}\d{2}/giu;

/** IBANs of a known country with its length and valid check digits (ISO 13616, mod 97). */
export function findIbans(text: string): TextRange[] {
  return [...text.matchAll(IBAN_START)].flatMap(({ index, 0: head }) => {
    const length = IBAN_LENGTHS.get(head.slice(0, 2).toUpperCase());
    const iban = length === undefined ? undefined : readAlphanumerics(text, { index, length });
    return iban !== undefined && isMod97Valid(iban.value)
      ? [{ start: index, end: index + iban.chars }]
      : [];
  });
}

/** Reads so many letters and digits, with at most one blank or hyphen between two of them. */
function readAlphanumerics(
  text: string,
  { index, length }: { readonly index: number; readonly length: number },
): { readonly value: string; readonly chars: number } | undefined {
  let value = '';
  let position = index;
  while (value.length < length) {
    if (value !== '' && /[ -]/.test(text.charAt(position))) position += 1;
    const char = text.charAt(position);
    if (!/[a-z0-9]/i.test(char)) return undefined;
    value += char;
    position += 1;
  }
  return isWordAt(text, position) ? undefined : { value, chars: position - index };
}

function isMod97Valid(iban: string): boolean {
  let remainder = 0;
  for (const char of `${iban.slice(4)}${iban.slice(0, 4)}`) {
    const value = Number.parseInt(char, 36);
    remainder = (remainder * (value > 9 ? 100 : 10) + value) % 97;
  }
  return remainder === 1;
}

function lengthOf(range: TextRange | undefined): number {
  return range === undefined ? 0 : range.end - range.start;
}
