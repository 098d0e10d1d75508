import { toMessageText } from '../../shared/batch/job.ts';
import type { Job } from '../../shared/batch/job.ts';
import { localFailure } from './read-items.ts';
import type { LocalFailure, SentItem } from './read-items.ts';

/** A queue message holds 64 KiB; base64 or an envelope on the way must still fit. */
export const MAX_MESSAGE_BYTES = 48 * 1_024;
/** Small enough that several instances share a big input, large enough that messages are few. */
export const DEFAULT_ITEMS_PER_MESSAGE = 100;

/** One message, and the input lines behind its items in the same order. */
export interface PlannedJob {
  readonly job: Job;
  readonly items: readonly SentItem[];
}

export interface JobPlan {
  readonly jobs: readonly PlannedJob[];
  /** Items that no message can hold. */
  readonly failures: readonly LocalFailure[];
}

/** Packs items into as few messages as the limits allow; the same input gives the same messages. */
export function planJobs(
  items: readonly SentItem[],
  options: { readonly jobId: string; readonly itemsPerMessage?: number },
): JobPlan {
  const { jobId, itemsPerMessage = DEFAULT_ITEMS_PER_MESSAGE } = options;
  const failures: LocalFailure[] = [];
  const groups: SentItem[][] = [];
  const empty = messageBytes(numberedId(jobId, 0), []);
  let bytes = Number.POSITIVE_INFINITY;
  for (const item of items) {
    // One more for the comma between two items.
    const own = messageBytes(numberedId(jobId, 0), [item]) - empty + 1;
    if (empty + own > MAX_MESSAGE_BYTES) {
      failures.push(tooLarge(item, own));
      continue;
    }
    const group = groups.at(-1);
    if (group === undefined || group.length >= itemsPerMessage || bytes + own > MAX_MESSAGE_BYTES) {
      groups.push([item]);
      bytes = empty + own;
    } else {
      group.push(item);
      bytes += own;
    }
  }
  const jobs = groups.map((group, index) => {
    const id = groups.length === 1 ? jobId : numberedId(jobId, index + 1);
    return { job: toJob(id, group), items: group };
  });
  return { jobs, failures };
}

function numberedId(jobId: string, number: number): string {
  return `${jobId}-${String(number).padStart(6, '0')}`;
}

function toJob(jobId: string, items: readonly SentItem[]): Job {
  return { v: 1, jobId, items: items.map(({ item }) => item) };
}

function messageBytes(jobId: string, items: readonly SentItem[]): number {
  return Buffer.byteLength(toMessageText(toJob(jobId, items)));
}

function tooLarge({ line, customId }: SentItem, bytes: number): LocalFailure {
  const message = `Line ${line} is too large for a message: ${bytes} bytes of at most ${MAX_MESSAGE_BYTES}`;
  return localFailure({ line, customId, code: 'payload_too_large', message });
}
