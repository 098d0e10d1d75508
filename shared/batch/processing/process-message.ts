import { hash } from 'node:crypto';
import { type BatchRecord, newRecord } from '../model/batch-record.ts';
import {
  digestOf,
  type InlineJob,
  type Job,
  parseJob,
  type PointerJob,
} from '../model/job-message.ts';
import { planBatch, type PlannerOptions } from '../planning/plan-batch.ts';
import { type ProcessShardOptions, processShard } from './process-shard.ts';

export interface ProcessorOptions extends Omit<ProcessShardOptions, 'stop'>, PlannerOptions {
  /** Caller id that owns jobs without an owner. */
  readonly queueOwner?: string | undefined;
}

/** Processes batch jobs: one result for each item, however often a message is delivered. */
export interface JobProcessor {
  /**
   * Processes one delivery. When it resolves the message may be deleted: its results are durable, or
   * the rest is queued again. When it rejects the message must be delivered again.
   */
  process(message: unknown): Promise<void>;
  /** Starts no further items, waits for the running ones, and queues the rest. */
  stop(): Promise<void>;
}

export function createJobProcessor(options: ProcessorOptions): JobProcessor {
  const stopping = new AbortController();
  const running = new Set<Promise<void>>();
  return {
    process(message) {
      const delivery = processDelivery(message, { ...options, stop: stopping.signal });
      const settled = delivery.catch(() => undefined).finally(() => running.delete(settled));
      running.add(settled);
      return delivery;
    },
    async stop() {
      stopping.abort(new Error('The instance is shutting down'));
      await Promise.all(running);
    },
  };
}

async function processDelivery(
  message: unknown,
  options: ProcessorOptions & ProcessShardOptions,
): Promise<void> {
  const parsed = parseJob(message);
  if (!parsed.ok) return rejectMessage(parsed.reason, { ...parsed, message, options });
  const { job } = parsed;
  const batch = await createOrGetBatch(job, options);
  if (batch.kind === 'rejected') {
    return rejectMessage(batch.reason, { message, jobId: job.jobId, options });
  }
  const { record } = batch;
  if (record.items === undefined && !('shard' in job)) return planBatch(record, options);
  const shardJob = 'shard' in job ? job : { jobId: record.id, shard: 0 };
  const telemetry = options.telemetry.with({ jobId: record.id, shard: shardJob.shard });
  const processed = await processShard({ record, job: shardJob }, { ...options, telemetry });
  if (processed === 'unknown shard') {
    await rejectMessage('The batch has no such shard', { message, jobId: job.jobId, options });
  }
}

interface MessageRejection {
  readonly message: unknown;
  readonly jobId?: string;
  /** The reason for the log, where the other one has names that the author chose. */
  readonly loggableReason?: string;
  readonly options: Pick<ProcessShardOptions, 'store' | 'telemetry'>;
}

/** Stores a message that can never succeed as a dead letter; it is not delivered again. */
async function rejectMessage(
  reason: string,
  { message, jobId, loggableReason = reason, options }: MessageRejection,
): Promise<void> {
  await options.store.recordDeadLetter({ reason, message, jobId });
  options.telemetry.warn('batch message rejected', { reason: loggableReason, jobId });
}

type CreatedBatch =
  | { readonly kind: 'found'; readonly record: BatchRecord }
  /** The message belongs to no batch, for this reason. */
  | { readonly kind: 'rejected'; readonly reason: string };

/** The batch of a message: a new one, or the existing one that it belongs to. */
export async function createOrGetBatch(
  job: Job,
  { store, clock, queueOwner }: Pick<ProcessorOptions, 'store' | 'clock' | 'queueOwner'>,
): Promise<CreatedBatch> {
  // Also for a new batch: the response carries the storage time by which the record is dated.
  const found = await store.find(job.jobId);
  if (!('items' in job) && !('inputBlob' in job)) {
    if (found !== undefined) return { kind: 'found', record: found };
    return {
      kind: 'rejected',
      reason: 'There is no batch with this jobId, and the message has neither items nor inputBlob',
    };
  }
  const created = toRecord(job, { now: clock.now(), queueOwner });
  const record = await store.createOrGet(created);
  if (record.digest !== created.digest) {
    return { kind: 'rejected', reason: 'Another job with other items has this jobId' };
  }
  // A job without an owner may be a redelivery from before `queueOwner` was changed.
  if (job.owner !== undefined && record.owner !== created.owner) {
    return { kind: 'rejected', reason: 'Another job with another owner has this jobId' };
  }
  return { kind: 'found', record };
}

/** The owner is stored as its hash, as requests carry it: storage holds no personal data. */
function toRecord(
  job: InlineJob | PointerJob,
  { now, queueOwner }: { readonly now: number; readonly queueOwner: string | undefined },
): BatchRecord {
  const input = 'items' in job ? job.items : job.inputBlob;
  const { jobId: id } = job;
  const callerId = job.owner ?? queueOwner;
  const owner = callerId === undefined ? null : hash('sha256', callerId, 'base64url');
  const record = newRecord({ id, owner, digest: digestOf(input), now });
  if ('items' in job) return { ...record, items: job.items };
  return { ...record, inputBlob: job.inputBlob };
}
