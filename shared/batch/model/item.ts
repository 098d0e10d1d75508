import * as z from 'zod';
import type { ErrorCode } from '../../errors.ts';
import { BATCH_URLS } from '../../protocols/registry.ts';
import { describeIssue, type ValidationIssue } from '../../protocols/validation.ts';

const itemSchema = z.strictObject({
  custom_id: z.string().min(1).max(512),
  method: z.literal('POST').optional(),
  url: z.enum(BATCH_URLS).optional(),
  body: z.record(z.string(), z.unknown()),
});

/** One question of a job, under the id by which its producer finds the answer again. */
export type JobItem = z.infer<typeof itemSchema>;

/** A line that is not JSON, in the place of its item. */
export const INVALID_LINE = Symbol('unreadable line');

/** In the place of an item whose input went away after it was planned. */
export const INPUT_DELETED = Symbol('item of an input that is gone');

export type ParsedItem =
  | { readonly ok: true; readonly item: JobItem }
  | { readonly ok: false; readonly fault: ValidationIssue };

/** `{"custom_id", "body"}`, or what is wrong with it. */
export function parseItem(item: unknown): ParsedItem {
  const result = itemSchema.safeParse(item);
  if (result.success) return { ok: true, item: result.data };
  return { ok: false, fault: describeIssue(result.error, item) };
}

/** The id that a malformed item at least seems to have, so that its producer finds it again. */
export function customIdOf(item: unknown): string | null {
  if (typeof item !== 'object' || item === null || !('custom_id' in item)) return null;
  return typeof item.custom_id === 'string' ? item.custom_id.slice(0, 512) : null;
}

/** The items whose id an earlier one has. The same items give the same verdict each time. */
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

/** Why an item has no answer: a code of the chat, or one that only a batch knows. */
export type ItemFailureCode =
  | ErrorCode
  | 'invalid_item'
  | 'invalid_json_line'
  | 'input_not_found'
  | 'duplicate_custom_id'
  | 'exhausted'
  | 'batch_cancelled'
  | 'batch_expired';

/** Reads a line of output that was written before. */
export const resultLineSchema = z.object({
  id: z.string(),
  custom_id: z.string().nullable(),
  response: z
    .object({ status_code: z.int(), request_id: z.string(), body: z.unknown() })
    .nullable(),
  error: z.object({ code: z.string(), message: z.string() }).nullable(),
});

/** One line of output in the format of OpenAI's batch files: an answer or an error, never both. */
export type ResultLine = z.infer<typeof resultLineSchema>;

export interface ItemPlace {
  readonly jobId: string;
  /** Its place among all items of the batch. */
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

function lineId({ jobId, index }: ItemPlace): string {
  return `batch_req_${jobId}_${index}`;
}
