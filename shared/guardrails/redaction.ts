import { detectPii, type PiiSpan, type PiiType } from './personal-data.ts';

export interface RedactionOptions {
  /** The types that are replaced; the others stay in the text. */
  readonly types: readonly PiiType[];
  /** Numbers the placeholders, so that `restore` can put the values back. */
  readonly isReversible?: boolean;
  readonly detect?: (text: string) => PiiSpan[];
}

/** Replaces personal data in the texts of one run. */
export interface Redaction {
  /** The spans that are replaced in a text. */
  find(text: string): PiiSpan[];
  /** What stands for a value: `[EMAIL]`, or `[EMAIL_1]` where it can be restored. */
  placeholderOf(type: PiiType, value: string): string;
  redact(text: string): string;
  /** The text with the values of its placeholders, escaped as in a JSON string: for tool calls. */
  restore(json: string): string;
  /** The values whose placeholders are new since the last call, by placeholder. */
  takeNew(): Readonly<Record<string, string>>;
  /** Continues a run of another process: its placeholders keep their values. */
  resume(previous: PreviousPlaceholders): void;
  /** The types that were replaced so far, each once. */
  readonly found: ReadonlySet<PiiType>;
}

export interface PreviousPlaceholders {
  /** By placeholder, where they are known. */
  readonly values: Readonly<Record<string, string>>;
  /** Texts that the run has read: their placeholders are not used for other values. */
  readonly texts: readonly string[];
}

const PLACEHOLDER = /\[(EMAIL|PHONE|CREDIT_CARD|SSN|IBAN|IP)_(\d{1,6})\]/g;
/** A text from outside can contain any number; those up to here are left for new placeholders. */
const MAX_RESERVED = 99_999;

/** Numbers placeholders, and knows their values. */
function createPlaceholders() {
  const values = new Map<string, string>();
  const placeholders = new Map<string, string>();
  let last = 0;
  let added: Record<string, string> = {};

  function set(placeholder: string, { type, value }: { type: string; value: string }): void {
    placeholders.set(`${type} ${value}`, placeholder);
    values.set(placeholder, value);
  }
  function reserve(text: string): void {
    for (const [, , digits] of text.matchAll(PLACEHOLDER)) {
      const number = Number(digits);
      if (number <= MAX_RESERVED) last = Math.max(last, number);
    }
  }
  return {
    valueOf: (placeholder: string) => values.get(placeholder),
    placeholderOf(type: PiiType, value: string): string {
      const known = placeholders.get(`${type} ${value}`);
      if (known !== undefined) return known;
      last += 1;
      const placeholder = `[${type}_${last}]`;
      set(placeholder, { type, value });
      added[placeholder] = value;
      return placeholder;
    },
    takeNew(): Readonly<Record<string, string>> {
      const taken = added;
      added = {};
      return taken;
    },
    resume(previous: PreviousPlaceholders): void {
      for (const [placeholder, value] of Object.entries(previous.values)) {
        reserve(placeholder);
        set(placeholder, { type: placeholder.slice(1, placeholder.lastIndexOf('_')), value });
      }
      for (const text of previous.texts) reserve(text);
    },
  };
}

/**
 * Redaction of one run: an equal value has the same placeholder everywhere in it, so that the model
 * can follow who is who without the values.
 */
export function createRedaction({
  types,
  isReversible = false,
  detect = detectPii,
}: RedactionOptions): Redaction {
  const selected = new Set(types);
  const found = new Set<PiiType>();
  const placeholders = createPlaceholders();

  function placeholderOf(type: PiiType, value: string): string {
    found.add(type);
    return isReversible ? placeholders.placeholderOf(type, value) : `[${type}]`;
  }

  function find(text: string): PiiSpan[] {
    return detect(text).filter(({ type }) => selected.has(type));
  }

  return {
    takeNew: () => placeholders.takeNew(),
    resume: (previous) => placeholders.resume(previous),
    find,
    placeholderOf,
    found,
    redact(text) {
      let safe = '';
      let position = 0;
      for (const { type, start, end } of find(text)) {
        safe += text.slice(position, start) + placeholderOf(type, text.slice(start, end));
        position = end;
      }
      return safe + text.slice(position);
    },
    restore: (json) =>
      json.replaceAll(PLACEHOLDER, (placeholder) => {
        const value = placeholders.valueOf(placeholder);
        return value === undefined ? placeholder : JSON.stringify(value).slice(1, -1);
      }),
  };
}
