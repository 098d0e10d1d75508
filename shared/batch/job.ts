import { createHash } from 'node:crypto';
import * as z from 'zod';

/** A blob name without tricks: no separators, and no dot at the end, which readers cut off. */
const JOB_ID = /^[A-Za-z0-9](?:[A-Za-z0-9._-]{0,126}[A-Za-z0-9_-])?$/;

/** Far more than an honest message has; thousands of levels would exhaust the stack of a writer. */
const MAX_DEPTH = 64;
const MAX_REASON_CHARS = 300;

const jobSchema = z.strictObject({
  v: z.literal(1),
  jobId: z.string().regex(JOB_ID),
  items: z.array(z.unknown()).min(1).max(10_000),
});

const itemSchema = z.strictObject({
  custom_id: z.string().min(1).max(512),
  body: z.record(z.string(), z.unknown()),
});

/** A message of the queue: its items are judged one by one, so that a bad one harms no other. */
export type Job = z.infer<typeof jobSchema>;
export type JobItem = z.infer<typeof itemSchema>;

export type ParsedJob =
  | { readonly ok: true; readonly job: Job }
  | { readonly ok: false; readonly reason: string };

/**
 * A queue message as the platform hands it over: a parsed value when its text was JSON, else the
 * text itself, which may be base64 of JSON because many producers encode by habit.
 */
export function parseJob(message: unknown): ParsedJob {
  const value = typeof message === 'string' ? decodeText(message) : message;
  if (typeof message === 'string' && value === undefined) {
    return refused('it is neither JSON nor base64 of JSON');
  }
  if (isDeeperThan(MAX_DEPTH, value)) return refused(`it is nested more than ${MAX_DEPTH} levels`);
  const result = jobSchema.safeParse(value);
  if (result.success) return { ok: true, job: result.data };
  const issue = result.error.issues[0];
  const field = issue?.path.join('.') ?? '';
  return refused(`${field === '' ? 'its shape' : `"${field}"`} is wrong: ${issue?.message}`);
}

function refused(why: string): ParsedJob {
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

/** undefined when the item is not `{"custom_id", "body"}`. */
export function parseItem(item: unknown): JobItem | undefined {
  const result = itemSchema.safeParse(item);
  return result.success ? result.data : undefined;
}

/** The id that a malformed item at least seems to have, so that its producer finds it again. */
export function customIdOf(item: unknown): string | null {
  if (typeof item !== 'object' || item === null || !('custom_id' in item)) return null;
  return typeof item.custom_id === 'string' ? item.custom_id.slice(0, 512) : null;
}

/** Tells a redelivery of a job from another job under the same id. */
export function digestOf(job: Job): string {
  return createHash('sha256').update(JSON.stringify(job.items)).digest('hex');
}

/**
 * The job as message text. Characters that XML, the queue's wire format, cannot carry are
 * escaped; JSON readers see the same job.
 */
export function toMessageText(job: Job): string {
  return JSON.stringify(job).replaceAll(
    /[\u007f-\u009f\ufffe\uffff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

function decodeText(text: string): unknown {
  const plain = parse(text.replace(/^\ufeff/, ''));
  if (plain !== undefined) return plain;
  // Encoders break lines; taken out first, so that the check below cannot be made slow.
  const compact = text.replaceAll(/\s/g, '');
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(compact)) return undefined;
  try {
    const bytes = Buffer.from(compact, 'base64');
    return parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    return undefined;
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
