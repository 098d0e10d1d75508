import { MAX_LINE_BYTES } from '../../shared/batch/input-limits.ts';
import type { ResultLine } from '../../shared/batch/model/item.ts';

/** An item to submit; its result carries the same custom_id. */
export interface SentItem {
  readonly line: number;
  readonly customId: string;
  readonly item: Readonly<Record<string, unknown>>;
}

/** A line that fails locally, because it cannot be submitted. */
export interface LocalFailure {
  readonly line: number;
  readonly customId: string;
  readonly result: ResultLine;
}

export interface ReadItems {
  readonly sent: readonly SentItem[];
  readonly failures: readonly LocalFailure[];
}

type ReadLine =
  | { readonly line: number; readonly item: Readonly<Record<string, unknown>> }
  | { readonly line: number; readonly code: string; readonly message: string };

/** Reads JSON Lines. Each line that is not blank becomes either an item or a failure. */
export function readItems(content: Uint8Array): ReadItems {
  const lines = splitLines(content).flatMap(({ line, bytes }) => readLine(line, bytes) ?? []);
  const given = new Set(
    lines.flatMap((read) => ('item' in read ? (givenId(read.item) ?? []) : [])),
  );
  const seen = new Set<string>();
  const sent: SentItem[] = [];
  const failures: LocalFailure[] = [];
  for (const read of lines) {
    const substitute = freeId(`line-${read.line}`, given);
    if (!('item' in read)) {
      failures.push(localFailure({ ...read, customId: substitute }));
      continue;
    }
    const customId = givenId(read.item) ?? substitute;
    if (seen.has(customId)) {
      failures.push(duplicate(read.line, { customId: substitute, taken: customId }));
      continue;
    }
    seen.add(customId);
    const item = { ...read.item, custom_id: customId };
    if (Buffer.byteLength(JSON.stringify(item)) > MAX_LINE_BYTES) {
      const message = `Line ${read.line} must have at most ${MAX_LINE_BYTES} bytes`;
      failures.push(localFailure({ line: read.line, customId, code: 'line_too_long', message }));
      continue;
    }
    sent.push({ line: read.line, customId, item });
  }
  return { sent, failures };
}

/** The result of a line that was not submitted. */
export function localFailure(failure: {
  readonly line: number;
  readonly customId: string;
  readonly code: string;
  readonly message: string;
}): LocalFailure {
  const { line, customId, code, message } = failure;
  const error = { code, message };
  return {
    line,
    customId,
    result: { id: `batch_req_local_${line}`, custom_id: customId, response: null, error },
  };
}

function duplicate(line: number, ids: { customId: string; taken: string }): LocalFailure {
  return localFailure({
    line,
    customId: ids.customId,
    code: 'duplicate_custom_id',
    message: `Line ${line} has the custom_id ${JSON.stringify(ids.taken)} of an earlier line`,
  });
}

function readLine(line: number, bytes: Uint8Array): ReadLine | undefined {
  let value: unknown;
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    if (text.trim() === '') return undefined;
    value = JSON.parse(text);
  } catch (error) {
    return error instanceof SyntaxError
      ? { line, code: 'invalid_json', message: `Line ${line} is not JSON: ${error.message}` }
      : { line, code: 'invalid_encoding', message: `Line ${line} is not UTF-8` };
  }
  if (!isRecord(value)) {
    return { line, code: 'invalid_item', message: `Line ${line} is JSON but not an object` };
  }
  if ('custom_id' in value && givenId(value) === undefined) {
    const message = `Line ${line} has a custom_id that is not a text of 1 to 512 characters`;
    return { line, code: 'invalid_item', message };
  }
  return { line, item: value };
}

function splitLines(content: Uint8Array): { readonly line: number; readonly bytes: Uint8Array }[] {
  const lines = [];
  let start = 0;
  for (let line = 1; start < content.length; line += 1) {
    const newline = content.indexOf(0x0a, start);
    const end = newline === -1 ? content.length : newline;
    lines.push({ line, bytes: content.subarray(start, end) });
    start = end + 1;
  }
  return lines;
}

function givenId(item: Readonly<Record<string, unknown>>): string | undefined {
  const id = item['custom_id'];
  return typeof id === 'string' && id.length > 0 && id.length <= 512 ? id : undefined;
}

/** A custom_id of the input may be `line-3` too. */
function freeId(wanted: string, given: ReadonlySet<string>): string {
  let id = wanted;
  while (given.has(id)) id += '-';
  return id;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
