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
  /** The types that were replaced so far, each once. */
  readonly found: ReadonlySet<PiiType>;
}

const PLACEHOLDER = /\[(?:EMAIL|PHONE|CREDIT_CARD|SSN|IBAN|IP)_\d{1,6}\]/g;

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
  const values = new Map<string, string>();
  const placeholders = new Map<string, string>();

  function placeholderOf(type: PiiType, value: string): string {
    found.add(type);
    if (!isReversible) return `[${type}]`;
    const key = `${type} ${value}`;
    const known = placeholders.get(key);
    if (known !== undefined) return known;
    const placeholder = `[${type}_${placeholders.size + 1}]`;
    placeholders.set(key, placeholder);
    values.set(placeholder, value);
    return placeholder;
  }

  function find(text: string): PiiSpan[] {
    return detect(text).filter(({ type }) => selected.has(type));
  }

  return {
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
        const value = values.get(placeholder);
        return value === undefined ? placeholder : JSON.stringify(value).slice(1, -1);
      }),
  };
}
