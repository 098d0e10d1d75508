import * as z from 'zod';
import { explainFault, type Fault } from '../../protocols/validation.ts';

const itemSchema = z.strictObject({
  custom_id: z.string().min(1).max(512),
  method: z.literal('POST').optional(),
  url: z.enum(['/v1/chat/completions', '/api/chat']).optional(),
  body: z.record(z.string(), z.unknown()),
});

/** One question of a job, under the id by which its producer finds the answer again. */
export type JobItem = z.infer<typeof itemSchema>;

/** A line that is not JSON, in the place of its item. */
export const UNREADABLE = Symbol('unreadable line');

/** In the place of an item whose input went away after it was planned. */
export const GONE = Symbol('item of an input that is gone');

export type ParsedItem =
  | { readonly ok: true; readonly item: JobItem }
  | { readonly ok: false; readonly fault: Fault };

/** `{"custom_id", "body"}`, or what is wrong with it. */
export function parseItem(item: unknown): ParsedItem {
  const result = itemSchema.safeParse(item);
  if (result.success) return { ok: true, item: result.data };
  return { ok: false, fault: explainFault(result.error, item) };
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
