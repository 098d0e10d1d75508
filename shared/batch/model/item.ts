import * as z from 'zod';
import type { ToolEffect } from '../../agent/step-journal.ts';
import type { ErrorCode, ServiceError } from '../../errors.ts';
import { toProblem } from '../../protocols/problem-details.ts';
import { BATCH_URLS } from '../../protocols/registry.ts';
import { describeIssue, type ValidationIssue } from '../../protocols/validation.ts';

const itemSchema = z.strictObject({
  custom_id: z.string().min(1).max(512),
  method: z.literal('POST').optional(),
  url: z.enum(BATCH_URLS).optional(),
  body: z.record(z.string(), z.unknown()),
});

/** One request of a batch; `custom_id` matches its result to it. */
export type JobItem = z.infer<typeof itemSchema>;

/** Stands for an item whose line is not valid JSON. */
export const INVALID_LINE = Symbol('invalid line');

/** Stands for an item whose input was deleted after planning. */
export const INPUT_DELETED = Symbol('input deleted');

export type ParsedItem =
  | { readonly ok: true; readonly item: JobItem }
  | { readonly ok: false; readonly issue: ValidationIssue };

/** Validates `{"custom_id", "body"}`. */
export function parseItem(item: unknown): ParsedItem {
  const result = itemSchema.safeParse(item);
  if (result.success) return { ok: true, item: result.data };
  return { ok: false, issue: describeIssue(result.error, item) };
}

/**
 * The custom_id of an item, valid or not, so that its producer can match the result. A number, which
 * is not valid, is returned as text.
 */
export function customIdOf(item: unknown): string | null {
  if (typeof item !== 'object' || item === null || !('custom_id' in item)) return null;
  const { custom_id: id } = item;
  if (typeof id === 'number') return String(id);
  return typeof id === 'string' ? id.slice(0, 512) : null;
}

/** Indexes of the items whose custom_id an earlier item has. */
export function duplicatesIn(items: readonly unknown[]): number[] {
  const seen = new Set<string>();
  return [...items.keys()].filter((index) => {
    const id = customIdOf(items[index]);
    if (id === null) return false;
    if (seen.has(id)) return true;
    seen.add(id);
    return false;
  });
}

/** Why an item failed: an error code of the chat API, or one that only a batch has. */
export type ItemFailureCode =
  | ErrorCode
  | 'invalid_item'
  | 'invalid_json_line'
  | 'input_not_found'
  | 'duplicate_custom_id'
  | 'exhausted'
  | 'batch_cancelled'
  | 'batch_expired';

/** One line of an output file, in the format of OpenAI's batch files. */
export const resultLineSchema = z.object({
  id: z.string(),
  custom_id: z.string().nullable(),
  response: z
    .object({ status_code: z.int(), request_id: z.string(), body: z.unknown() })
    .nullable(),
  error: z.object({ code: z.string(), message: z.string() }).nullable(),
  /** The tool calls that changed something outside; absent where there are none. */
  tool_effects: z
    .array(z.object({ tool: z.string(), status: z.enum(['ok', 'failed', 'interrupted']) }))
    .optional(),
});

/** A line with an error is a failure. It has a response too if the item got an answer. */
export type ResultLine = z.infer<typeof resultLineSchema>;

export interface ItemPlace {
  readonly jobId: string;
  /** Its index in the batch. */
  readonly index: number;
  readonly customId: string | null;
}

export function successLine(place: ItemPlace, requestId: string, body: unknown): ResultLine {
  return {
    id: lineId(place),
    custom_id: place.customId,
    response: { status_code: 200, request_id: requestId, body },
    error: null,
  };
}

export function failureLine(place: ItemPlace, code: ItemFailureCode, message: string): ResultLine {
  return { id: lineId(place), custom_id: place.customId, response: null, error: { code, message } };
}

/** The line with the effects of the item's tools; an error also says which are not known. */
export function withEffects(line: ResultLine, effects: readonly ToolEffect[]): ResultLine {
  if (effects.length === 0) return line;
  const tool_effects = effects.map(({ tool, status }) => ({ tool, status }));
  const interrupted = effects.filter(({ status }) => status === 'interrupted');
  const { error } = line;
  if (error === null || interrupted.length === 0) return { ...line, tool_effects };
  const names = [...new Set(interrupted.map(({ tool }) => `"${tool}"`))].join(', ');
  const message = `${error.message}; the call of ${names} was interrupted and may have taken effect`;
  return { ...line, error: { ...error, message }, tool_effects };
}

/** The failure of an item that got this error as the answer to its request. */
export function errorAnswerLine(
  place: ItemPlace,
  error: ServiceError,
  requestId: string,
): ResultLine {
  const { status, error: body } = toProblem(error, requestId);
  return {
    ...failureLine(place, error.code, error.message),
    response: { status_code: status, request_id: requestId, body: { error: body } },
  };
}

function lineId({ jobId, index }: ItemPlace): string {
  return `batch_req_${jobId}_${index}`;
}
