import {
  findCardNumbers,
  findIbans,
  findSocialSecurityNumbers,
  type TextRange,
} from './detectors/account-numbers.ts';
import { findDigitRuns, isWordAt, toAsciiDigits } from './detectors/digit-runs.ts';
import { findIpAddresses } from './detectors/ip-addresses.ts';
import { findPhoneNumbers } from './detectors/phone-numbers.ts';

export type PiiType = 'EMAIL' | 'PHONE' | 'CREDIT_CARD' | 'SSN' | 'IBAN' | 'IP';

/** Personal data in a text. Offsets are UTF-16 units: `text.slice(start, end)` is the value. */
export interface PiiSpan extends TextRange {
  readonly type: PiiType;
}

/** Lengths of RFC 5321: the part before the `@` and the domain. */
const MAX_LOCAL_CHARS = 64;
const MAX_DOMAIN_CHARS = 253;

/**
 * Finds e-mail addresses, phone numbers, payment cards, US social security numbers, IBANs and IP
 * addresses. Numbers with a check digit must pass it. Spans are in order and never overlap. Takes
 * time linear in the length of the text; see docs/guardrails.md for how often it is right.
 */
export function detectPii(text: string): PiiSpan[] {
  const plain = toAsciiDigits(text);
  const emails = plain.includes('@') ? findEmails(plain) : [];
  if (!/\d|:/.test(plain)) return emails;
  const runs = findDigitRuns(plain);
  // A part of a number that is found first cannot become a part of another one.
  return withoutOverlaps([
    ...emails,
    ...typed('IBAN', findIbans(plain)),
    ...typed('IP', findIpAddresses(plain)),
    ...typed('CREDIT_CARD', findCardNumbers(plain, runs)),
    ...typed('SSN', findSocialSecurityNumbers(plain, runs)),
    ...typed('PHONE', findPhoneNumbers(plain, runs)),
  ]);
}

function typed(type: PiiType, ranges: readonly TextRange[]): PiiSpan[] {
  return ranges.map(({ start, end }) => ({ type, start, end }));
}

/** Keeps the first of spans that overlap, and sorts what is left by position. */
function withoutOverlaps(spans: readonly PiiSpan[]): PiiSpan[] {
  const ranked = spans.map((span, rank) => ({ span, rank }));
  ranked.sort((a, b) => a.span.start - b.span.start || a.rank - b.rank);
  const kept: { span: PiiSpan; rank: number }[] = [];
  for (const one of ranked) {
    const last = kept.at(-1);
    if (last === undefined || last.span.end <= one.span.start) kept.push(one);
    else if (one.rank < last.rank) kept.splice(-1, 1, one);
  }
  return kept.map(({ span }) => span);
}

function findEmails(text: string): PiiSpan[] {
  const found: PiiSpan[] = [];
  for (let at = text.indexOf('@'); at >= 0; at = text.indexOf('@', at + 1)) {
    const start = startOfLocalPart(text, at);
    const end = endOfDomain(text, at + 1);
    if (start < at && end > at) found.push({ type: 'EMAIL', start, end });
  }
  return found;
}

function startOfLocalPart(text: string, at: number): number {
  let start = at;
  while (at - start < MAX_LOCAL_CHARS && isLocalAt(text, start - 1)) start -= 1;
  while (start < at && !isLetterAt(text, start)) start += 1;
  return start;
}

/** The end of the longest domain name at a position, or -1 without one. */
function endOfDomain(text: string, start: number): number {
  let end = start;
  while (
    end - start < MAX_DOMAIN_CHARS &&
    (isLetterAt(text, end) || /[.-]/.test(text.charAt(end)))
  ) {
    end += 1;
  }
  const labels = text
    .slice(start, end)
    .replace(/[.-]+$/, '')
    .split('.');
  const bad = labels.findIndex(
    (label) => label === '' || label.startsWith('-') || label.endsWith('-'),
  );
  const valid = bad < 0 ? labels : labels.slice(0, bad);
  const isName =
    valid.length > 1 && /^(?:[^\d\W_]|[^\0-\u007F]){2,}$|^xn--/i.test(valid.at(-1) ?? '');
  return isName ? start + valid.join('.').length : -1;
}

function isLocalAt(text: string, index: number): boolean {
  return isLetterAt(text, index) || /[.%+'&-]/.test(text.charAt(index));
}

/** Letters, digits and underscores, also of Latin, Greek and Cyrillic beyond ASCII. */
function isLetterAt(text: string, index: number): boolean {
  const code = text.charCodeAt(index);
  return isWordAt(text, index) || (code >= 0xc0 && code <= 0x52f);
}
