import type { Agent } from '../agent/agent.ts';
import type { Clock } from '../clock.ts';
import type { Telemetry } from '../telemetry/telemetry.ts';
import { failUnfinished } from './fail-unfinished.ts';
import { parseJob, type Job } from './job.ts';
import type { JobSender } from './job-sender.ts';
import type { JobHold, ResultStore } from './result-store.ts';
import { runPass, type Remaining } from './run-pass.ts';

/** How long a second delivery of a job waits for the first one to end. */
const BUSY_DELAY_SECONDS = 10;
/** As often as the platform would deliver a message that fails each time. */
const MAX_CRASHES = 5;

export interface ProcessorOptions {
  readonly agent: Agent;
  readonly store: ResultStore;
  readonly sender: JobSender;
  readonly concurrency: number;
  /** After this time the job takes no more items and hands itself over. */
  readonly jobDeadlineMs: number;
  readonly itemDeadlineMs: number;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
}

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

type Delivery = ProcessorOptions & { readonly stop: AbortSignal };

async function processDelivery(message: unknown, options: Delivery): Promise<void> {
  const { store, sender } = options;
  const parsed = parseJob(message);
  if (!parsed.ok) {
    await store.recordDeadLetter({ reason: parsed.reason, message });
    options.telemetry.warn('batch message refused', { reason: parsed.reason });
    return;
  }
  const { job } = parsed;
  const { jobId } = job;
  const telemetry = options.telemetry.with({ jobId });
  const hold = await store.open(job);
  if (hold === 'busy') {
    // Not dropped: the holder may have died a moment ago, and this be what is left of the job.
    await sender.send(job, { delaySeconds: BUSY_DELAY_SECONDS });
    telemetry.info('batch job is held by another delivery');
  } else if (hold === 'conflict') {
    const reason = 'Another job with other items has this jobId';
    await store.recordDeadLetter({ reason, message, jobId });
    telemetry.warn('batch message refused', { reason });
  } else {
    await workThrough(job, { hold, options: { ...options, telemetry } });
  }
}

async function workThrough(
  job: Job,
  { hold, options }: { readonly hold: JobHold; readonly options: Delivery },
): Promise<void> {
  const { telemetry } = options;
  let remaining: Remaining;
  try {
    remaining =
      hold.view.crashes < MAX_CRASHES
        ? await runPass(job, { hold, options })
        : await giveUp(job, { hold, telemetry });
  } finally {
    await hold.release();
  }
  if (remaining.items > 0) {
    await options.sender.send(job, { delaySeconds: remaining.delaySeconds });
    telemetry.info('batch job handed over', { ...remaining });
  } else {
    telemetry.info('batch job finished', { total: job.items.length });
  }
}

/**
 * Without this a job that kills its process would do so for ever: the process dies before its hold
 * ends, the next delivery finds the job held, and what it sends on counts its deliveries from one.
 */
async function giveUp(
  job: Job,
  { hold, telemetry }: { readonly hold: JobHold; readonly telemetry: Telemetry },
): Promise<Remaining> {
  const why = `the process ended ${hold.view.crashes} times in a row while it worked on the job`;
  const exhausted = await failUnfinished(job, { hold, why });
  telemetry.error('batch job given up', { crashes: hold.view.crashes, exhausted });
  return { items: 0, delaySeconds: 0 };
}
