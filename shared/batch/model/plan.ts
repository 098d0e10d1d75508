import * as z from 'zod';
import { duplicatesIn } from './item.part.ts';
import type { BatchRecord } from './batch-record.ts';

const shardPlanSchema = z.object({
  /** The bytes of the input that hold the lines of the shard. */
  start: z.int(),
  end: z.int(),
  /** The place of its first item among all items. */
  first: z.int(),
  count: z.int(),
  /** Places within the shard whose custom_id an earlier item has. */
  duplicates: z.array(z.int()),
});

const inputErrorSchema = z.object({
  code: z.string(),
  line: z.int().nullable(),
  message: z.string(),
  param: z.string().nullable(),
});

/** How an input is split. It depends on nothing but the input, so planning twice does no harm. */
export const planSchema = z.object({
  v: z.literal(1),
  total: z.int(),
  shards: z.array(shardPlanSchema),
  /** What is wrong with single lines; the first ones of them. */
  errors: z.array(inputErrorSchema),
  /** Nothing of the input can be worked on; `errors` says why. */
  failed: z.boolean(),
});

export type Plan = z.infer<typeof planSchema>;
export type ShardPlan = z.infer<typeof shardPlanSchema>;
export type InputError = z.infer<typeof inputErrorSchema>;

export function failedPlan(code: string, message: string): Plan {
  const errors = [{ code, line: null, message, param: null }];
  return { v: 1, total: 0, shards: [], errors, failed: true };
}

/** A message's items are one shard; they came together and are few. */
export function inlinePlan(items: NonNullable<BatchRecord['items']>): Plan {
  const count = items.length;
  const shard = { start: 0, end: 0, first: 0, count, duplicates: duplicatesIn(items) };
  return { v: 1, total: count, shards: [shard], errors: [], failed: false };
}
