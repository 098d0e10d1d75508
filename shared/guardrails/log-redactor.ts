import type { Redact } from '../telemetry/create-telemetry.ts';
import { detectPii, type PiiType } from './personal-data.ts';
import { findSecrets, SECRET } from './secrets.ts';

interface RedactOptions {
  /** The current secrets of the process. */
  readonly secrets: () => readonly string[];
  /** `block` replaces the whole text, `observe` only reports. The default is `redact`. */
  readonly personalData?: 'off' | 'observe' | 'redact' | 'block';
  /** Called for each text with personal data. */
  readonly onPersonalData?: (outcome: 'observed' | 'redacted' | 'blocked') => void;
}

/** Shorter values may be words, and redacting words would make logs useless. */
const MIN_SECRET_CHARS = 8;
const BLOCKED = '[personal data]';

/**
 * The last line of defence for text that leaves the process as a log field or an attribute:
 * replaces what looks like a secret or like personal data, except our own ids. Finds personal data
 * with the detector of the guardrails, and also removes every other long number: such data should
 * not reach logs at all.
 */
export function createRedactor({
  secrets,
  personalData = 'redact',
  onPersonalData = () => undefined,
}: RedactOptions): Redact {
  return (text) => {
    let safe = text;
    for (const secret of secrets()) {
      if (secret.length >= MIN_SECRET_CHARS) safe = safe.replaceAll(secret, SECRET);
    }
    if (!CANDIDATE.test(safe) || WHOLE_UUID.test(safe)) return safe;
    const withoutKeys = redactKeys(safe);
    if (personalData === 'off') return withoutKeys;
    const redacted = exceptOwnIds(withoutKeys, redactPersonal);
    if (redacted === withoutKeys) return redacted;
    onPersonalData(OUTCOMES[personalData]);
    if (personalData === 'observe') return withoutKeys;
    return personalData === 'block' ? BLOCKED : redacted;
  };
}

const OUTCOMES = { observe: 'observed', redact: 'redacted', block: 'blocked' } as const;

/** Texts without any of these need no further search. */
const CANDIDATE = /[@:=\p{Nd}]|[-_]\w{8}|eyJ|AKIA|Bearer|Basic|-----BEGIN/iu;

const HEX_32 = '[0-9a-f]{32}';
const UUID = '[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}';
/** Most request ids, which are on every line. */
const WHOLE_UUID = new RegExp(`^${UUID}$`);
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

function redactKeys(text: string): string {
  let safe = '';
  let position = 0;
  for (const { start, end } of findSecrets(text)) {
    safe += text.slice(position, start) + SECRET;
    position = end;
  }
  return safe + text.slice(position);
}

const PLACEHOLDERS: Readonly<Record<PiiType, string>> = {
  EMAIL: '[e-mail]',
  IBAN: '[account]',
  IP: '[address]',
  CREDIT_CARD: '[number]',
  PHONE: '[number]',
  SSN: '[number]',
};

/** Digits of any script with common separators: a number that is long enough to be personal. */
const DIGITS = /[+(]{0,2}\p{Nd}(?:[ \t.()/–-]{0,3}\p{Nd}){5,40}(?: ?(?:x|ext\.?) ?\d{1,6})?/giu;
/** What the detector can find has a digit, an at sign, or two colons. */
const PERSONAL = /[@\p{Nd}]|::/u;

function redactPersonal(text: string): string {
  if (!PERSONAL.test(text)) return text;
  let safe = '';
  let position = 0;
  for (const { type, start, end } of detectPii(text)) {
    safe += text.slice(position, start).replaceAll(DIGITS, '[number]') + PLACEHOLDERS[type];
    position = end;
  }
  return safe + text.slice(position).replaceAll(DIGITS, '[number]');
}
