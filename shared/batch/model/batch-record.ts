import * as z from 'zod';
import { duplicatesIn } from './item.ts';

/** What is known of a batch from its beginning. Changed only by who cancels or retries it. */
export const recordSchema = z.object({
  v: z.literal(1),
  id: z.string(),
  /** Null where everybody who may call may ask for it. */
  owner: z.string().nullable(),
  endpoint: z.string(),
  inputFileId: z.string().nullable(),
  inputBlob: z.string().nullable(),
  /** The items of a message; others are lines of the input blob. */
  items: z.array(z.unknown()).optional(),
  digest: z.string(),
  createdAt: z.string(),
  expiresAt: z.string(),
  metadata: z.record(z.string(), z.string()).nullable(),
  cancelledAt: z.string().nullable(),
  /** How often the failed items were begun again. */
  generation: z.int(),
});

export type BatchRecord = z.infer<typeof recordSchema>;

/** As long as OpenAI gives a batch; then what has no answer yet fails. */
export const COMPLETION_WINDOW_MS = 24 * 60 * 60_000;

export interface NewBatch {
  readonly id: string;
  readonly owner: string | null;
  readonly digest: string;
  /** Milliseconds since the epoch. */
  readonly now: number;
}

/** A record with nothing in it but what every batch has. */
export function newRecord({ id, owner, digest, now }: NewBatch): BatchRecord {
  return {
    v: 1,
    id,
    owner,
    endpoint: '/v1/chat/completions',
    inputFileId: null,
    inputBlob: null,
    digest,
    createdAt: new Date(now).toISOString(),
    expiresAt: new Date(now + COMPLETION_WINDOW_MS).toISOString(),
    metadata: null,
    cancelledAt: null,
    generation: 0,
  };
}

/** Whether a caller may see a batch: its owner, or anybody where a queue message named none. */
export function canAccess({ owner }: Pick<BatchRecord, 'owner'>, callerId: string): boolean {
  return owner === null || owner === callerId;
}

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
