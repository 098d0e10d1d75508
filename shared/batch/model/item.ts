import * as z from 'zod';
import type { ErrorCode } from '../../errors.ts';

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

export function answered(place: ItemPlace, requestId: string, body: unknown): ResultLine {
  return {
    id: lineId(place),
    custom_id: place.customId,
    response: { status_code: 200, request_id: requestId, body },
    error: null,
  };
}

export function failed(place: ItemPlace, code: ItemFailureCode, message: string): ResultLine {
  return { id: lineId(place), custom_id: place.customId, response: null, error: { code, message } };
}

function lineId({ jobId, index }: ItemPlace): string {
  return `batch_req_${jobId}_${index}`;
}
