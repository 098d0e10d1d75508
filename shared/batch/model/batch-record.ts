import * as z from 'zod';
import { duplicatesIn } from './item.ts';

/** The stored description of a batch. Only cancel and retry change it. */
export const recordSchema = z.object({
  v: z.literal(1),
  id: z.string(),
  /** Hash of the caller id. Null for a queue job without an owner, to which no caller has access. */
  owner: z.string().nullable(),
  endpoint: z.string(),
  inputFileId: z.string().nullable(),
  inputBlob: z.string().nullable(),
  /** The items of a queue message. Absent if the items are the lines of the input blob. */
  items: z.array(z.unknown()).optional(),
  digest: z.string(),
  createdAt: z.string(),
  expiresAt: z.string(),
  metadata: z.record(z.string(), z.string()).nullable(),
  /** The life of the output files after the end of the batch; absent without a limit of their own. */
  outputExpiresAfterSeconds: z.int().optional(),
  cancelledAt: z.string().nullable(),
  /** How often the failed items were reopened. */
  generation: z.int(),
  /** When a request last queued the open shards. */
  queuedAt: z.string().nullish(),
});

export type BatchRecord = z.infer<typeof recordSchema>;

/** 24 hours, as with OpenAI's Batch API; items without a result fail after it. */
export const COMPLETION_WINDOW_MS = 24 * 60 * 60_000;

export interface NewBatch {
  readonly id: string;
  readonly owner: string | null;
  readonly digest: string;
  /** Epoch milliseconds. */
  readonly now: number;
}

/** A record with default values. */
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

/** Why no further item of the batch may run. */
export function endedOutcome(
  { cancelledAt, expiresAt }: BatchRecord,
  now: number,
): 'cancelled' | 'expired' | undefined {
  if (cancelledAt !== null) return 'cancelled';
  return now < Date.parse(expiresAt) ? undefined : 'expired';
}

/** Whether a caller may see a batch. */
export function canAccess({ owner }: Pick<BatchRecord, 'owner'>, callerId: string): boolean {
  return owner === callerId;
}

/** When the output files of a batch that ended then expire, in epoch milliseconds. */
export function outputExpiry(
  { outputExpiresAfterSeconds: seconds }: BatchRecord,
  endedAt: number,
): number | undefined {
  return seconds === undefined ? undefined : endedAt + seconds * 1_000;
}

const shardPlanSchema = z.object({
  /** Byte range of the input that contains the lines of the shard. */
  start: z.int(),
  end: z.int(),
  /** Index of its first item in the batch. */
  first: z.int(),
  count: z.int(),
  /** Indexes within the shard of items whose custom_id an earlier item has. */
  duplicates: z.array(z.int()),
});

const inputErrorSchema = z.object({
  code: z.string(),
  line: z.int().nullable(),
  message: z.string(),
  param: z.string().nullable(),
});

/** How an input is split into shards. It is a pure function of the input, so planning is idempotent. */
export const planSchema = z.object({
  v: z.literal(1),
  total: z.int(),
  shards: z.array(shardPlanSchema),
  /** Invalid lines; at most the first 100. */
  errors: z.array(inputErrorSchema),
  /** The input as a whole is invalid; `errors` has the reason. */
  failed: z.boolean(),
});

export type Plan = z.infer<typeof planSchema>;
export type ShardPlan = z.infer<typeof shardPlanSchema>;
export type InputError = z.infer<typeof inputErrorSchema>;

export function failedPlan(code: string, message: string): Plan {
  const errors = [{ code, line: null, message, param: null }];
  return { v: 1, total: 0, shards: [], errors, failed: true };
}

/** The items of a message form one shard: a message holds few of them. */
export function inlinePlan(items: NonNullable<BatchRecord['items']>): Plan {
  const count = items.length;
  const shard = { start: 0, end: 0, first: 0, count, duplicates: duplicatesIn(items) };
  return { v: 1, total: count, shards: [shard], errors: [], failed: false };
}
