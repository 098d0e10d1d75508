import { createHash } from 'node:crypto';
import * as z from 'zod';
import { customIdOf } from './item.ts';
import { INPUT_CONTAINER, UPLOAD_FOLDER } from '../storage-names.ts';
import { describeIssue } from '../../protocols/validation.ts';
import { parseJson } from '../../json.ts';

/** A plain blob name: no separators, and no trailing dot, which some tools cut off. */
const JOB_ID = /^[A-Za-z0-9](?:[A-Za-z0-9._-]{0,126}[A-Za-z0-9_-])?$/;
/**
 * A blob of the input container, so that a message cannot make us read any other blob. Uploaded
 * files are excluded: they belong to callers, and a message could name another caller's file.
 */
const INPUT_BLOB = new RegExp(
  `^${INPUT_CONTAINER}/(?!${UPLOAD_FOLDER})(?!.*(?:^|/)\\.{1,2}(?:/|$))[\\w][\\w./ -]{0,900}\\.jsonl$`,
);

/** More than an honest message has; thousands of levels would overflow the stack of JSON.stringify. */
const MAX_DEPTH = 64;
const MAX_REASON_CHARS = 300;
export const MAX_SHARDS = 50_000;

const base = {
  v: z.literal(1),
  jobId: z
    .string()
    .refine(
      isJobId,
      'must be 1 to 128 letters, digits, dots, dashes or underscores, with a letter or digit first and no dot last',
    ),
};
/** The caller who has access over HTTP. Without it `batch.queue_owner` has, if it is set. */
const owner = z.string().min(1).max(256).optional();

const inlineSchema = z.strictObject({
  ...base,
  owner,
  items: z.array(z.unknown()).min(1).max(10_000),
});
const pointerSchema = z.strictObject({
  ...base,
  owner,
  inputBlob: z
    .string()
    .refine(
      (name) => INPUT_BLOB.test(name),
      `must be a blob ${INPUT_CONTAINER}/….jsonl of plain ASCII letters, outside of ${UPLOAD_FOLDER}`,
    ),
});
const shardSchema = z.strictObject({
  ...base,
  shard: z
    .int()
    .min(0)
    .max(MAX_SHARDS - 1),
  /** Which message of the shard this is. A message without one is always processed. */
  messageId: z.uuid().optional(),
  /** Deliveries in a row that found the shard in the hands of another one. */
  busy: z.int().min(1).max(1_000_000).optional(),
});
const batchSchema = z.strictObject(base);

/** A job with its items in the message. Each item is validated by itself, so a bad one fails alone. */
export type InlineJob = z.infer<typeof inlineSchema>;
/** A job whose items are the lines of a blob. */
export type PointerJob = z.infer<typeof pointerSchema>;
/** One shard of a batch that has a record. */
export type ShardJob = z.infer<typeof shardSchema>;
/** A batch that has a record and is to be planned. */
export type KnownJob = z.infer<typeof batchSchema>;
/** A message of the queue. */
export type Job = InlineJob | PointerJob | ShardJob | KnownJob;

export type ParsedJob =
  | { readonly ok: true; readonly job: Job }
  | { readonly ok: false; readonly reason: string; readonly loggableReason: string };

/** Parses a queue message; a failure has a reason for its author and one for the log. */
export function parseJob(message: unknown): ParsedJob {
  const value = decodeMessage(message);
  if (typeof message === 'string' && value === undefined) {
    return invalidMessage('it is neither JSON nor base64 of JSON');
  }
  const result = schemaFor(value).safeParse(value);
  if (result.success) return { ok: true, job: dropDeeplyNested(result.data) };
  const { param, expected, loggable } = describeIssue(result.error, value);
  const why = `${param === undefined ? 'it' : `"${param}"`} ${expected}`;
  return invalidMessage(why, loggable);
}

/**
 * Replaces an item nested too deeply to serialise by its custom_id, so only this item fails
 * validation.
 */
function dropDeeplyNested(job: Job): Job {
  if (!('items' in job) || !isDeeperThan(MAX_DEPTH, job.items)) return job;
  const items = job.items.map((item): unknown =>
    isDeeperThan(MAX_DEPTH, item) ? { custom_id: customIdOf(item) } : item,
  );
  return { ...job, items };
}

/** Chooses the schema by the field that only one kind has, so that the error is about that kind. */
function schemaFor(value: unknown): z.ZodType<Job> {
  if (typeof value !== 'object' || value === null) return inlineSchema;
  if ('inputBlob' in value) return pointerSchema;
  if ('shard' in value) return shardSchema;
  return 'items' in value || Object.keys(value).length !== 2 ? inlineSchema : batchSchema;
}

function invalidMessage(why: string, loggable = why): ParsedJob {
  const [reason = '', loggableReason = ''] = [why, loggable].map((text) =>
    `The message is not a job: ${text}`.slice(0, MAX_REASON_CHARS),
  );
  return { ok: false, reason, loggableReason };
}

/** Works level by level, because recursion would overflow the stack on the values it looks for. */
function isDeeperThan(levels: number, value: unknown): boolean {
  let level: unknown[] = [value];
  for (let depth = 0; level.length > 0; depth += 1) {
    if (depth > levels) return true;
    level = level
      .filter((inner) => typeof inner === 'object' && inner !== null)
      .flatMap((inner): unknown[] => Object.values(inner));
  }
  return false;
}

export function isJobId(text: string): boolean {
  return JOB_ID.test(text);
}

/** Distinguishes a redelivery of a job from another job with the same id. */
export function digestOf(input: readonly unknown[] | string): string {
  return createHash('sha256').update(JSON.stringify(input)).digest('hex');
}

/**
 * The text of a queue message. A message that the platform could not parse is a string already.
 * Escapes the characters that XML, the wire format of the queue, cannot contain.
 */
export function toMessageText(message: unknown): string {
  if (typeof message === 'string') return message;
  return JSON.stringify(message).replaceAll(
    /[\u007f-\u009f\ufffe\uffff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** CloudEvents 1.0 in structured mode; its data is the job. */
const cloudEventSchema = z.union([
  z.object({ specversion: z.literal('1.0'), data: z.unknown() }),
  z.object({ specversion: z.literal('1.0'), data_base64: z.string() }),
]);

/**
 * Decodes a queue message. The platform passes a parsed value if the text was JSON, else the text,
 * which may be base64 of JSON as many client libraries send it. Undefined if it is neither.
 */
export function decodeMessage(message: unknown): unknown {
  const value = typeof message === 'string' ? decodeText(message) : message;
  const event = cloudEventSchema.safeParse(value);
  if (!event.success) return value;
  if ('data_base64' in event.data) return decodeBase64(event.data.data_base64);
  const { data } = event.data;
  return typeof data === 'string' ? decodeText(data) : data;
}

function decodeText(text: string): unknown {
  return parseJson(text.replace(/^\ufeff/, '')) ?? decodeBase64(text);
}

function decodeBase64(text: string): unknown {
  // Some encoders break lines. Removed first, so that the pattern below stays linear.
  const compact = text.replaceAll(/\s/g, '');
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(compact)) return undefined;
  try {
    const bytes = Buffer.from(compact, 'base64');
    return parseJson(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    return undefined;
  }
}

/** Sends a job to the job queue, where any instance can receive it. */
export interface JobSender {
  send(job: Job, options: { readonly delaySeconds: number }): Promise<void>;
  /** Whether a message waits on the queue that no instance has received yet. */
  hasWaiting(): Promise<boolean>;
}
