import { beginBatch } from './begin-batch.ts';
import { parseJob } from '../model/job-message.ts';
import { planBatch, type PlannerOptions } from '../planning/plan-batch.ts';
import { workShard, type WorkOptions } from './process-shard.ts';

export interface ProcessorOptions extends Omit<WorkOptions, 'stop'>, PlannerOptions {}

/** Works through batch jobs: one result for each item, however often a message is delivered. */
export interface JobProcessor {
  /**
   * Handles one delivery. When it resolves the message may be deleted: its results are durable, or
   * the rest of it is on the queue again. When it rejects the message must be delivered again.
   */
  process(message: unknown): Promise<void>;
  /** Stops taking items, ends those that run, and hands every job over. */
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

async function processDelivery(message: unknown, options: WorkOptions & PlannerOptions) {
  const { store, clock } = options;
  const parsed = parseJob(message);
  if (!parsed.ok) return refuse(parsed.reason, { message, options });
  const { job } = parsed;
  const begun = await beginBatch(job, { store, clock });
  if (begun.kind === 'refused') {
    return refuse(begun.reason, { message, jobId: job.jobId, options });
  }
  const { record } = begun;
  if (record.items === undefined && !('shard' in job)) return planBatch(record, options);
  const shard = 'shard' in job ? job.shard : 0;
  const telemetry = options.telemetry.with({ jobId: record.id, shard });
  const worked = await workShard({ record, shard }, { ...options, telemetry });
  if (worked === 'unknown shard') {
    await refuse('The batch has no such shard', { message, jobId: job.jobId, options });
  }
}

interface Refusal {
  readonly message: unknown;
  readonly jobId?: string;
  readonly options: Pick<WorkOptions, 'store' | 'telemetry'>;
}

/** A message that can never succeed is kept with its reason, and not delivered again. */
async function refuse(reason: string, { message, jobId, options }: Refusal): Promise<void> {
  await options.store.recordDeadLetter({ reason, message, jobId });
  options.telemetry.warn('batch message refused', { reason, jobId });
}
