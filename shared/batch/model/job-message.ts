import { createHash } from 'node:crypto';
import * as z from 'zod';
import { customIdOf } from './item.ts';
import { INPUT_CONTAINER } from '../storage-names.ts';
import { describeIssue } from '../../protocols/validation.ts';
import { parseJson } from '../../json.ts';

/** A blob name without tricks: no separators, and no dot at the end, which readers cut off. */
const JOB_ID = /^[A-Za-z0-9](?:[A-Za-z0-9._-]{0,126}[A-Za-z0-9_-])?$/;
/** Of one container only, so that a message cannot make us read what is not ours. */
const INPUT_BLOB = new RegExp(
  `^${INPUT_CONTAINER}/(?!.*(?:^|/)\\.{1,2}(?:/|$))[\\w][\\w./ -]{0,900}\\.jsonl$`,
);

/** Far more than an honest message has; thousands of levels would exhaust the stack of a writer. */
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
/** Who may ask for the job over HTTP; without it everybody who may call at all. */
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
      `must be a blob ${INPUT_CONTAINER}/….jsonl of plain ASCII letters`,
    ),
});
const shardSchema = z.strictObject({
  ...base,
  shard: z
    .int()
    .min(0)
    .max(MAX_SHARDS - 1),
});
const batchSchema = z.strictObject(base);

/** Items in the message itself; they are judged one by one, so that a bad one harms no other. */
export type InlineJob = z.infer<typeof inlineSchema>;
/** Items in a blob, one on each line. */
export type PointerJob = z.infer<typeof pointerSchema>;
/** One part of a batch that is known already. */
export type ShardJob = z.infer<typeof shardSchema>;
/** A batch that is known already and waits to be split. */
export type KnownJob = z.infer<typeof batchSchema>;
/** A message of the queue. */
export type Job = InlineJob | PointerJob | ShardJob | KnownJob;

export type ParsedJob =
  | { readonly ok: true; readonly job: Job }
  | { readonly ok: false; readonly reason: string };

/** A queue message as a job, or why it is none. */
export function parseJob(message: unknown): ParsedJob {
  const value = decodeMessage(message);
  if (typeof message === 'string' && value === undefined) {
    return invalidMessage('it is neither JSON nor base64 of JSON');
  }
  const result = schemaFor(value).safeParse(value);
  if (result.success) return { ok: true, job: dropDeeplyNested(result.data) };
  const { param, expected } = describeIssue(result.error, value);
  return invalidMessage(`${param === undefined ? 'it' : `"${param}"`} ${expected}`);
}

/**
 * An item that is nested so deeply that writing it would exhaust a stack ends alone: what is left of
 * it is its id, which is no item.
 */
function dropDeeplyNested(job: Job): Job {
  if (!('items' in job) || !isDeeperThan(MAX_DEPTH, job.items)) return job;
  const items = job.items.map((item): unknown =>
    isDeeperThan(MAX_DEPTH, item) ? { custom_id: customIdOf(item) } : item,
  );
  return { ...job, items };
}

/** By the field that only one kind has, so that the reason of a refusal is about that kind. */
function schemaFor(value: unknown): z.ZodType<Job> {
  if (typeof value !== 'object' || value === null) return inlineSchema;
  if ('inputBlob' in value) return pointerSchema;
  if ('shard' in value) return shardSchema;
  return 'items' in value || Object.keys(value).length !== 2 ? inlineSchema : batchSchema;
}

function invalidMessage(why: string): ParsedJob {
  return { ok: false, reason: `The message is not a job: ${why}`.slice(0, MAX_REASON_CHARS) };
}

/** Level by level, because recursion would meet the very end of the stack that it looks for. */
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

/** Tells a redelivery of a job from another job under the same id. */
export function digestOf(input: readonly unknown[] | string): string {
  return createHash('sha256').update(JSON.stringify(input)).digest('hex');
}

/**
 * A message as text: one that the platform could not read is its text. Characters that XML, the
 * queue's wire format, cannot carry are escaped; JSON readers see the same job.
 */
export function toMessageText(message: unknown): string {
  if (typeof message === 'string') return message;
  return JSON.stringify(message).replaceAll(
    /[\u007f-\u009f\ufffe\uffff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** Structured mode of CloudEvents 1.0: the job is what the event carries. */
const cloudEventSchema = z.union([
  z.object({ specversion: z.literal('1.0'), data: z.unknown() }),
  z.object({ specversion: z.literal('1.0'), data_base64: z.string() }),
]);

/**
 * A queue message as the platform hands it over: a parsed value when its text was JSON, else the
 * text itself, which may be base64 of JSON because many producers encode by habit. `undefined`
 * when it is neither.
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
  // Encoders break lines; taken out first, so that the check below cannot be made slow.
  const compact = text.replaceAll(/\s/g, '');
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(compact)) return undefined;
  try {
    const bytes = Buffer.from(compact, 'base64');
    return parseJson(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    return undefined;
  }
}

/** Puts a job on its queue, to be taken by whichever instance is free. */
export interface JobSender {
  send(job: Job, options: { readonly delaySeconds: number }): Promise<void>;
}
