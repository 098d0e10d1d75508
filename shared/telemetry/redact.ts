export type Redact = (text: string) => string;

interface RedactOptions {
  /** The current secrets of the process. */
  readonly secrets: () => readonly string[];
}

/** Shorter values may be words, and redacting words would make logs useless. */
const MIN_SECRET_CHARS = 8;
const SECRET = '[secret]';

/**
 * The last line of defence for text that leaves the process as a log field or an attribute:
 * replaces everything that looks like a secret or like personal data, except our own ids. Prefers
 * false positives, because such data should not reach logs at all.
 */
export function createRedactor({ secrets }: RedactOptions): Redact {
  return (text) => {
    let safe = text;
    for (const secret of secrets()) {
      if (secret.length >= MIN_SECRET_CHARS) safe = safe.replaceAll(secret, SECRET);
    }
    if (!CANDIDATE.test(safe)) return safe;
    return exceptOwnIds(redactKeys(safe), redactPersonal);
  };
}

/** Log fields that hold nothing but our own ids and hashes, which may look like numbers. */
export const ID_FIELDS: ReadonlySet<string> = new Set(['caller', 'spanId', 'traceId']);

// Every pattern below takes time linear in the length of the text: each repetition either has a
// small bound and one way to match, or begins at only one position of a run of its characters.

/** Texts without any of these need no further search. */
const CANDIDATE = /[@:=\p{Nd}]|[-_]\w{8}|eyJ|AKIA|Bearer|Basic/iu;

const HEX_32 = '[0-9a-f]{32}';
const UUID = '[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}';
/** Without a letter these may be card numbers. */
const LETTER_IN_16 = '(?=\\d{0,15}[a-f])[0-9a-f]{16}';
const LETTER_IN_32 = `(?=\\d{0,31}[a-f])${HEX_32}`;
const BATCH_ID = `(?:batch_req_)?batch_${HEX_32}(?:_\\d{1,6})?`;
const FILE_ID = `file-(?:${HEX_32}|batch_${HEX_32}-(?:output|errors)-\\d{1,4})`;
const TRACEPARENT = `00-${HEX_32}-[0-9a-f]{16}-[0-9a-f]{2}`;
const ISO_TIME = '\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d(?:\\.\\d{1,9})?Z';
/** Ids that this product creates, and times. */
const OWN_ID = new RegExp(
  `(?<![\\w@.-])(?:${[TRACEPARENT, BATCH_ID, FILE_ID, UUID, LETTER_IN_32, LETTER_IN_16, ISO_TIME].join('|')})(?![\\w@-])`,
  'g',
);

function exceptOwnIds(text: string, redact: Redact): string {
  let safe = '';
  let end = 0;
  for (const { 0: id, index } of text.matchAll(OWN_ID)) {
    safe += redact(text.slice(end, index)) + id;
    end = index + id.length;
  }
  return safe + redact(text.slice(end));
}

/** Keys with a known prefix. */
const KEYS =
  /\b(?:sk|pk|rk)[-_][\w-]{8,}|\bgh[pousr]_\w{16,}|\bxox[a-z]-[\w-]{8,}|\bAKIA[0-9A-Z]{12,}|\b(?:Bearer|Basic)\s{1,8}[\w.~+/=-]{6,}/gi;
/** Runs that may hold a JSON web token; the lookbehind allows one attempt for each run. */
const DOTTED_RUN = /(?<![\w-])[\w-]{9,}(?:\.[\w-]*){1,2}/g;
const TOKEN_START = /(?<![A-Za-z\d_])eyJ[\w-]{6}/i;
/** Values after a name that says that they are secret. */
const NAMED =
  /\b(api[-_]?key|x-functions-key|account[-_]?key|access[-_]?key|shared[-_]?access[-_]?(?:key|signature)|instrumentation[-_]?key|client[-_]?secret|password|passwd|pwd|secret|token|sig)(["']?\s{0,8}[=:]\s{0,8}["']?)([^\s"'&;,]{4,})/gi;
/** The function key of the platform in a query string. */
const QUERY_KEY = /([?&]code=)[^\s&"']{4,}/gi;

function redactKeys(text: string): string {
  return text
    .replaceAll(KEYS, SECRET)
    .replaceAll(DOTTED_RUN, redactToken)
    .replaceAll(NAMED, `$1$2${SECRET}`)
    .replaceAll(QUERY_KEY, `$1${SECRET}`);
}

function redactToken(run: string): string {
  const start = TOKEN_START.exec(run)?.index;
  return start === undefined ? run : run.slice(0, start) + SECRET;
}

const EMAIL = /[^\s@<>()[\],;:"']{1,64}@[^\s@<>()[\],;:"']{1,128}\.[^\s@<>()[\],;:"']{1,64}/gu;
/** Groups of four as banks print them, or none: any other split would match in many ways. */
const IBAN = /\b[A-Z]{2}\d{2}(?:[ -]?[A-Z0-9]{4}){2,7}(?:[ -]?[A-Z0-9]{1,4})?\b/gi;
const IPV6 =
  /(?<![\w:])(?:[0-9a-f]{0,4}:){2,7}[0-9a-f]{0,4}(?:\.\d{1,3}){0,3}(?:%\w{1,16})?(?:\/\d{1,3})?(?![\w:])/gi;
const IPV4 = /(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?:\/\d{1,2})?(?![\d.])/g;
/** Phone, card and tax numbers: digits of any script with common separators. */
const DIGITS = /[+(]{0,2}\p{Nd}(?:[ \t.()/–-]{0,3}\p{Nd}){5,40}(?: ?(?:x|ext\.?) ?\d{1,6})?/giu;

function redactPersonal(text: string): string {
  const withoutEmail = text.includes('@') ? text.replaceAll(EMAIL, '[e-mail]') : text;
  return withoutEmail
    .replaceAll(IBAN, '[account]')
    .replaceAll(IPV6, '[address]')
    .replaceAll(IPV4, '[address]')
    .replaceAll(DIGITS, '[number]');
}
