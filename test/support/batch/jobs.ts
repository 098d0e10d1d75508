import { hash } from 'node:crypto';
import type { InlineJob, ShardJob } from '../../../shared/batch/model/job-message.ts';
import {
  UNLIMITED_BUDGETS,
  withRunningItems,
} from '../../../shared/batch/processing/owner-budget.ts';
import type { ItemOptions } from '../../../shared/batch/processing/run-item.ts';

/** The caller that owns queue jobs without an owner. */
export const QUEUE_OWNER = 'key:alice';
/** The same caller as requests carry it. */
export const QUEUE_OWNER_ID = hash('sha256', QUEUE_OWNER, 'base64url');

/** An item as producers write it. */
export function itemOf(message: string, customId = `id-${message}`) {
  return { custom_id: customId, body: { message } };
}

/** A job that asks each message once. */
export function jobOf(jobId: string, messages: readonly string[]): InlineJob {
  return { v: 1, jobId, items: messages.map((message) => itemOf(message)) };
}

/** `m0`, `m1`, … */
export function messages(count: number): string[] {
  return Array.from({ length: count }, (_value, index) => `m${index}`);
}

/** What is put on the queue when a job is handed over. */
export function shardJob(jobId: string, shard = 0): ShardJob {
  return { v: 1, jobId, shard };
}

/** Reserves nothing. */
export const reserveNothing: ItemOptions['reserve'] = (input) =>
  withRunningItems(UNLIMITED_BUDGETS).reserve(null, input);
