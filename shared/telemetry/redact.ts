export type Redact = (text: string) => string;

interface RedactOptions {
  /** The current secrets of the process. */
  readonly secrets: () => readonly string[];
}

/** Shorter values may be words, and redacting words would make logs useless. */
const MIN_SECRET_CHARS = 8;
const SECRET = '[secret]';

/** Our own ids, and times. */
const NON_PERSONAL =
  /^(?:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{16}|[0-9a-f]{32}|00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}|\d{4}-\d\d-\d\dT[\d:.]+Z)$/;

/** Keys with a known prefix. */
const KEYS =
  /\b(?:sk|pk|rk)[-_][\w-]{8,}|\bgh[pousr]_\w{16,}|\bxox[a-z]-[\w-]{8,}|\bAKIA[0-9A-Z]{12,}|\beyJ[\w-]{6,}(?:\.[\w-]*){1,2}|\b(?:Bearer|Basic)\s+[\w.~+/=-]{6,}/gi;
/** Values after a name that says that they are secret. */
const NAMED =
  /\b(api[-_]?key|x-functions-key|account[-_]?key|access[-_]?key|shared[-_]?access[-_]?(?:key|signature)|instrumentation[-_]?key|client[-_]?secret|password|passwd|pwd|secret|token|sig)(["']?\s*[=:]\s*["']?)([^\s"'&;,]{4,})/gi;

/** The function key of the platform in a query string. */
const QUERY_KEY = /([?&]code=)[^\s&"']{4,}/gi;

// Every repetition is bounded, so that the cost grows linearly with the length.
const EMAIL = /[^\s@<>()[\],;:"']{1,64}@[^\s@<>()[\],;:"']{1,128}\.[^\s@<>()[\],;:"']{1,64}/gu;
const IBAN = /\b[A-Z]{2}\d{2}(?:[ -]?[A-Z0-9]{2,4}){3,9}(?:[ -]?[A-Z0-9]{1,3})?\b/gi;
const IPV6 =
  /(?<![\w:])(?:[0-9a-f]{0,4}:){2,7}[0-9a-f]{0,4}(?:\.\d{1,3}){0,3}(?:%\w{1,16})?(?:\/\d{1,3})?(?![\w:])/gi;
const IPV4 = /(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?:\/\d{1,2})?(?![\d.])/g;
/** Phone, card and tax numbers: digits of any script with common separators. */
const DIGITS = /[+(]{0,2}\p{Nd}(?:[ \t.()/–-]{0,3}\p{Nd}){5,40}(?: ?(?:x|ext\.?) ?\d{1,6})?/giu;
const CANDIDATE = /[@:=\p{Nd}]|[-_]\w{8}|eyJ|AKIA|Bearer|Basic/iu;

/**
 * The last line of defence for text that leaves the process as a log field or an attribute:
 * replaces everything that looks like a secret or like personal data. Prefers false positives,
 * because such data should not reach logs at all.
 */
export function createRedactor({ secrets }: RedactOptions): Redact {
  return (text) => {
    let safe = text;
    for (const secret of secrets()) {
      if (secret.length >= MIN_SECRET_CHARS) safe = safe.replaceAll(secret, SECRET);
    }
    if (!CANDIDATE.test(safe) || NON_PERSONAL.test(safe)) return safe;
    return redactPersonal(redactKeys(safe));
  };
}

function redactKeys(text: string): string {
  return text
    .replaceAll(KEYS, SECRET)
    .replaceAll(NAMED, `$1$2${SECRET}`)
    .replaceAll(QUERY_KEY, `$1${SECRET}`);
}

function redactPersonal(text: string): string {
  const unmailed = text.includes('@') ? text.replaceAll(EMAIL, '[e-mail]') : text;
  return unmailed
    .replaceAll(IBAN, '[account]')
    .replaceAll(IPV6, '[address]')
    .replaceAll(IPV4, '[address]')
    .replaceAll(DIGITS, '[number]');
}
