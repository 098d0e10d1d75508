import type { TextRange } from './account-numbers.ts';
import { digitsOf, type DigitRun, isDigitAt, isWordAt, separatorsOf } from './digit-runs.ts';
import { NUMBERING_PLANS } from './numbering-plans.ts';

/** E.164 numbers have at most 15 digits. Shorter ones than 7 are extensions and service numbers. */
const MIN_DIGITS = 7;
const MAX_DIGITS = 15;
const MAX_GROUPS = 7;
/** How far before a number a word may say what it is. */
const CONTEXT_CHARS = 48;

/** Words that a phone number follows, in ten languages. */
const PHONE_WORDS =
  /(?:\b(?:tele?(?:ph?on\w*|fon\w*)?|tél(?:éphone)?|ph(?:one)?s?|cell(?:ular\w*)?|mobiles?|mobil\w*|m[oó]vil|handy\w*|fax|landline|desk|office|pager|hotline|helpline|whats ?app|signal|viber|sms|text(?:ed|ing)?|messages?|call(?:ed|ing|s)?(?: me)?|dial(?:ed|ling|ing)?|reach(?:ed)?|ring|contact(?: (?:number|no))?|answer(?:ing|s|ed)? at|rufnummer|anruf\w*|ruf(?:e|en|t)?|erreich\w*|numéro|portable|appel\w*|joindre|n[uú]mero|ll[aá]m\w*|chiam\w*|cellulare|lig(?:ue|ar)|номер|тел(?:ефон\w*)?|звон\w*|numer|dzwoń)\b|手机|电话|手機|電話|携帯|拨打|致电|전화|휴대폰)/giu;
/** Words after which digits are something else. */
const OTHER_WORDS =
  /\b(?:orders?|invoices?|tracking|shipment|parcel|tickets?|cases?|refs?|references?|ids?|isbn|issn|ean|upc|sku|serial|versions?|v|build|part|model|zip|postcode|postal|batch|lot|transaction|confirmation|booking|policy|contract|customer|account|iban|bic|vat|tax|dates?|total|amount|price|usd|eur|timestamp|epoch|iat|exp(?:ires|ired)?\w*|seed|port|pid|bestellung|bestellnummer|rechnung\w*|auftrag\w*|kunden\w*|commande|facture|pedido|factura|ordine|fattura)\b|[$€£¥#№]/giu;
const PHONE_AFTER =
  /^[\s\\,-]{0,3}\(?(?:office|fax|mobile|cell|home|work|phone|tel|desk|ext)\b|^ to (?:call|text|reach)/i;

/** A year, month and day in any usual order. */
const DATE =
  /^(?:(?:19|20)\d\d[-./ ](?:0?[1-9]|1[0-2])[-./ ](?:[0-2]?\d|3[01])|(?:[0-2]?\d|3[01])[-./](?:[0-2]?\d|3[01])[-./](?:\d\d){1,2})(?!\d)/;
const EXTENSION = /^ ?(?:x|ext(?:ension|n)?\.?|#) ?\d{1,7}(?!\w)/i;

/**
 * Phone numbers: international ones that a numbering plan allows, numbers grouped as in North
 * America or with a trunk prefix, and other groups of digits beside a word that says so.
 */
export function findPhoneNumbers(text: string, runs: readonly DigitRun[]): TextRange[] {
  const found: TextRange[] = [];
  const hints = createHints(text);
  for (const run of runs) {
    for (let first = 0; first < run.length; first += 1) {
      const last = lastGroupOfPhone(text, { run, first, hints });
      const [start, end] = [run[first]?.start, run[last ?? -1]?.end];
      if (last === undefined || start === undefined || end === undefined) continue;
      found.push(withMarks(text, { start, end }));
      first = last;
    }
  }
  return found;
}

/** The index of the last group of the longest phone number that begins with a group. */
function lastGroupOfPhone(
  text: string,
  { run, first, hints }: { readonly run: DigitRun; readonly first: number; readonly hints: Hints },
): number | undefined {
  const start = run[first]?.start ?? 0;
  const isMarked = text.charAt(start - 1) === '+' || text.startsWith('+(', start - 2);
  const mayBeInternational = isMarked || text.startsWith('00', start);
  let longest: number | undefined;
  let count = 0;
  for (let last = first; last < Math.min(run.length, first + MAX_GROUPS); last += 1) {
    count += lengthOf(run[last]);
    if (count > MAX_DIGITS) break;
    if (count < MIN_DIGITS) continue;
    const isWhole = first === 0 && last === run.length - 1;
    // Cheap checks first: most windows of a long run end here.
    const lastTwo = lengthOf(run[last]) + (last > first ? lengthOf(run[last - 1]) : 0);
    if (!isWhole && !mayBeInternational && (count < 10 || lastTwo < 7)) continue;
    const groups = run.slice(first, last + 1);
    const digits = digitsOf(text, groups);
    if (isPhoneNumber(text, { groups, digits, isWhole, isMarked, hints })) longest = last;
  }
  return longest;
}

function lengthOf(range: TextRange | undefined): number {
  return range === undefined ? 0 : range.end - range.start;
}

interface Candidate {
  readonly groups: DigitRun;
  readonly digits: string;
  /** Whether no digits stand before or after the groups. */
  readonly isWhole: boolean;
  /** Whether a plus stands before the digits. */
  readonly isMarked: boolean;
  readonly hints: Hints;
}

function isPhoneNumber(text: string, candidate: Candidate): boolean {
  const { groups, isWhole } = candidate;
  const range = withMarks(text, { start: groups[0]?.start ?? 0, end: groups.at(-1)?.end ?? 0 });
  if (!hasFreeEnds(text, range)) return false;
  if (isInternational(text, candidate)) return true;
  const shape = northAmericanShape(text, candidate);
  if ((shape === undefined && !isWhole) || isDate(text, range)) return false;
  const hint = candidate.hints.find(range);
  if (shape === 'grouped' && hint !== 'other') return true;
  if (hint === 'phone') return shape === 'bare' || (isWhole && isWrittenLikeOne(text, groups));
  if (hint === 'other' || !isWhole) return false;
  return hasLocalShape(text, { ...candidate, range });
}

/** Up to six groups, without a separator that ends a number and begins another one. */
function isWrittenLikeOne(text: string, groups: DigitRun): boolean {
  return groups.length <= 6 && !separatorsOf(text, groups).some((one) => /[/.-]{2}/.test(one));
}

type Hint = 'phone' | 'other';

interface Hints {
  /** What the nearest word around a number says about it. */
  find(range: TextRange): Hint | undefined;
}

/** Finds the words once, when the first number needs them: the cost stays linear. */
function createHints(text: string): Hints {
  let words: readonly { readonly end: number; readonly hint: Hint }[] | undefined;
  return {
    find({ start, end }) {
      if (PHONE_AFTER.test(text.slice(end, end + 12))) return 'phone';
      words ??= [...wordsOf(text, 'phone'), ...wordsOf(text, 'other')].sort(
        (a, b) => a.end - b.end,
      );
      const nearest = words[lastIndexBefore(words, start)];
      return nearest !== undefined && start - nearest.end <= CONTEXT_CHARS
        ? nearest.hint
        : undefined;
    },
  };
}

function wordsOf(text: string, hint: Hint): { readonly end: number; readonly hint: Hint }[] {
  const pattern = hint === 'phone' ? PHONE_WORDS : OTHER_WORDS;
  return [...text.matchAll(pattern)].map(({ index, 0: word }) => ({
    end: index + word.length,
    hint,
  }));
}

/** Binary search: the index of the last word that ends at or before a position, or -1. */
function lastIndexBefore(words: readonly { readonly end: number }[], position: number): number {
  let [low, high] = [0, words.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((words[middle]?.end ?? 0) <= position) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/** Nothing touches the number that would make it a part of an amount, a word or a longer number. */
function hasFreeEnds(text: string, { start, end }: TextRange): boolean {
  const before = text.charAt(start - 1);
  const after = text.charAt(end);
  if (isWordAt(text, start - 1) || isWordAt(text, end)) return false;
  if (/[$€£¥%=*&]/.test(before) || /[$€£¥%=*°:]/.test(after)) return false;
  if (/[.,:-]/.test(before) && isDigitAt(text, start - 2)) return false;
  return !(/[.,-]/.test(after) && isDigitAt(text, end + 1));
}

function isInternational(text: string, { groups, digits, isMarked }: Candidate): boolean {
  const start = groups[0]?.start ?? 0;
  const isDialled = /^00[1-9]/.test(digits) && groups.length > 1;
  if (!isMarked && !isDialled) return false;
  const number = isMarked ? digits : digits.slice(2);
  const hasTrunkZero = /\(0\)/.test(text.slice(start, groups.at(-1)?.end));
  for (let length = 1; length <= 3; length += 1) {
    const national = number.slice(length);
    const plan = NUMBERING_PLANS[number.slice(0, length)];
    if (plan === undefined) continue;
    return fitsPlan(plan, hasTrunkZero ? national.replace(/^0/, '') : national);
  }
  return false;
}

const compiledPlans = new Map<string, RegExp>();

function fitsPlan(plan: string, national: string): boolean {
  const colon = plan.indexOf(':');
  if (!plan.slice(0, colon).split(',').includes(String(national.length))) return false;
  let pattern = compiledPlans.get(plan);
  if (pattern === undefined) {
    pattern = new RegExp(`^(?:${plan.slice(colon + 1)})$`);
    compiledPlans.set(plan, pattern);
  }
  return pattern.test(national);
}

/**
 * Three, three and four digits, three and seven, or ten, with the country code or without it.
 * `bare` ones need a word beside them, because ten digits are often an order or a time.
 */
function northAmericanShape(
  text: string,
  { groups, digits, isWhole }: Candidate,
): 'grouped' | 'bare' | undefined {
  const lengths = groups.map(lengthOf).join(',');
  const shape = /^(?:(?:1|001),)?(3,3,4|3,7|10)$|^11$/.exec(lengths);
  if (shape === null || !/^(?:1|001)?\d{10}$/.test(digits)) return undefined;
  const isValid = /[2-9]\d\d[2-9]\d{6}$/.test(digits);
  if (shape[1] === '3,3,4') {
    const separators = separatorsOf(text, groups).slice(-2);
    return isValid || separators.every((one) => /[-.)]/.test(one)) ? 'grouped' : undefined;
  }
  if (!isValid) return undefined;
  return shape[1] === '3,7' && isWhole ? 'grouped' : 'bare';
}

/** An area code in brackets or after a trunk zero, and two to five groups. */
function hasLocalShape(
  text: string,
  { range, groups, digits }: Candidate & { readonly range: TextRange },
): boolean {
  const isAlone = range.start === 0 && range.end === text.trimEnd().length;
  if (groups.length === 1) return isAlone && /^[2-9]\d\d[2-9]\d{6}$/.test(digits);
  const separators = separatorsOf(text, groups);
  if (groups.length > 5 || separators.some((separator) => /[()]{2}|\D{3}/.test(separator))) {
    return false;
  }
  const area = (groups[0]?.end ?? 0) - (groups[0]?.start ?? 0);
  if (area < 2 || area > 5) return false;
  const isBracketed = text.charAt(range.start) === '(' && (separators[0] ?? '').startsWith(')');
  if (isBracketed) return digits.length >= 8 && digits.length <= 12;
  return /^0[1-9]\d{7,9}$/.test(digits);
}

function isDate(text: string, { start, end }: TextRange): boolean {
  return DATE.test(text.slice(start, end)) || DATE.test(text.slice(start, end + 10));
}

/** The range with the plus and the bracket before the digits and the extension after them. */
function withMarks(text: string, { start, end }: TextRange): TextRange {
  const hasBracket = text.charAt(start - 1) === '(' && text.slice(start, end).includes(')');
  const opened = hasBracket ? start - 1 : start;
  const marked = text.charAt(opened - 1) === '+' ? opened - 1 : opened;
  const extension = EXTENSION.exec(text.slice(end, end + 20))?.[0].length ?? 0;
  return { start: marked, end: end + extension };
}
