import { type Finding, startOfLastWords, type TextFilter } from './stream-redactor.ts';

/** What stands for a secret. */
export const SECRET = '[secret]';

// Each repetition has a bound, or begins at only one position of a run of its characters.

/** Keys with a known prefix. */
const KEYS =
  /\b(?:sk|pk|rk)[-_][\w-]{8,1024}|\bgh[pousr]_\w{16,1024}|\bxox[a-z]-[\w-]{8,1024}|\bAKIA[0-9A-Z]{12,1024}|\b(?:Bearer|Basic)\s{1,8}[\w.~+/=-]{6,4096}/gi;
/** Runs that may hold a JSON web token; the lookbehind allows one attempt for each run. */
const DOTTED_RUN = /(?<![\w-])[\w-]{9,4096}(?:\.[\w-]{0,4096}){1,2}/g;
const TOKEN_START = /(?<![A-Za-z\d_])eyJ[\w-]{6}/i;
/** Values after a name that says that they are secret. */
const NAMED =
  /\b(?:api[-_]?key|x-functions-key|account[-_]?key|access[-_]?key|shared[-_]?access[-_]?(?:key|signature)|instrumentation[-_]?key|client[-_]?secret|password|passwd|pwd|secret|token|sig)["']?\s{0,8}[=:]\s{0,8}["']?([^\s"'&;,]{4,4096})/gi;
/** The function key of the platform in a query string. */
const QUERY_KEY = /[?&]code=([^\s&"']{4,4096})/gi;
const PRIVATE_KEY =
  /-----BEGIN[A-Z ]{1,40}PRIVATE KEY-----[\w+/=\s]{0,8192}(?:-----END[A-Z ]{1,40}-----)?/g;

/**
 * Keys, tokens and passwords in a text, by their shape or by the name before them. Sorted, without
 * overlaps. Takes time linear in the length of the text.
 */
export function findSecrets(text: string): Finding[] {
  const found: Finding[] = [];
  for (const { 0: key, index } of text.matchAll(KEYS)) {
    found.push({ start: index, end: index + key.length });
  }
  for (const { 0: run, index } of text.matchAll(DOTTED_RUN)) {
    const start = TOKEN_START.exec(run)?.index;
    if (start !== undefined) found.push({ start: index + start, end: index + run.length });
  }
  for (const pattern of [NAMED, QUERY_KEY]) {
    for (const { 0: pair, 1: value = '', index } of text.matchAll(pattern)) {
      const end = index + pair.length;
      found.push({ start: end - value.length, end });
    }
  }
  if (text.includes('-----BEGIN')) {
    for (const { 0: key, index } of text.matchAll(PRIVATE_KEY)) {
      found.push({ start: index, end: index + key.length });
    }
  }
  return mergeFindings(found);
}

/** Joins findings that overlap. */
export function mergeFindings(findings: readonly Finding[]): Finding[] {
  const merged: { start: number; end: number }[] = [];
  for (const { start, end } of findings.toSorted((a, b) => a.start - b.start)) {
    const last = merged.at(-1);
    if (last !== undefined && start < last.end) last.end = Math.max(last.end, end);
    else merged.push({ start, end });
  }
  return merged;
}

/** Shorter values may be words. */
const MIN_KNOWN_CHARS = 8;
/** A longer token is not held back as a whole. */
const MAX_TOKEN_CHARS = 8_192;
/** A private key is held back up to here. */
const MAX_KEY_CHARS = 9_000;
const PRIVATE_KEY_END = /-----END[A-Z ]{1,40}-----/;
/** A name, the sign after it, and the value. */
const OPEN_TOKENS = 3;

/** Finds secrets by their shape, and those that this process holds. */
export function secretsFilter(known: () => readonly string[]): TextFilter<Finding> {
  return {
    contextChars: 16,
    find(text) {
      const found = findSecrets(text);
      for (const secret of known()) {
        if (secret.length < MIN_KNOWN_CHARS) continue;
        for (let at = text.indexOf(secret); at >= 0; at = text.indexOf(secret, at + 1)) {
          found.push({ start: at, end: at + secret.length });
        }
      }
      return mergeFindings(found);
    },
    openFrom(text) {
      const begin = text.indexOf('-----BEGIN', text.length - MAX_KEY_CHARS);
      if (begin >= 0 && !PRIVATE_KEY_END.test(text.slice(begin))) return begin;
      return startOfLastWords(text, { words: OPEN_TOKENS, maxChars: MAX_TOKEN_CHARS });
    },
    replace: () => SECRET,
  };
}
