import { randomBytes } from 'node:crypto';
import type { Agent } from '../agent/agent.ts';
import type { Telemetry } from '../telemetry/telemetry.ts';
import { answerItem, placeOf, type ItemOutcome } from './answer-item.ts';
import { customIdOf, parseJob, type Job } from './job.ts';
import type { JobSender } from './job-sender.ts';
import { failed } from './result.ts';
import type { JobHold, ResultStore } from './result-store.ts';
import { slidingWindow } from './sliding-window.ts';

/** Tries of one item before it is given up; between them the model's own retries have been used. */
const MAX_ATTEMPTS = 5;
/** How long a second delivery of a job waits for the first one to end. */
const BUSY_DELAY_SECONDS = 10;
const RETRY_DELAY_SECONDS = 5;
const MAX_RETRY_DELAY_SECONDS = 300;

export interface ProcessorOptions {
  readonly agent: Agent;
  readonly store: ResultStore;
  readonly sender: JobSender;
  readonly concurrency: number;
  /** After this time the job takes no more items and hands itself over. */
  readonly jobDeadlineMs: number;
  readonly itemDeadlineMs: number;
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
  const { store, sender, telemetry } = options;
  const parsed = parseJob(message);
  if (!parsed.ok) {
    await store.recordDeadLetter({ reason: parsed.reason, message });
    telemetry.warn('batch message refused', { reason: parsed.reason });
    return;
  }
  const { job } = parsed;
  const hold = await store.open(job);
  if (hold === 'busy') {
    await sender.send(job, { delaySeconds: BUSY_DELAY_SECONDS });
    telemetry.info('batch job is held by another delivery', { jobId: job.jobId });
  } else if (hold === 'conflict') {
    const reason = 'another job with other items has this jobId';
    await store.recordDeadLetter({ reason, message, jobId: job.jobId });
    telemetry.warn('batch message refused', { jobId: job.jobId, reason });
  } else {
    await workThrough(job, { hold, options });
  }
}

async function workThrough(
  job: Job,
  { hold, options }: { hold: JobHold; options: Delivery },
): Promise<void> {
  const { jobId } = job;
  const telemetry = options.telemetry.with({ jobId });
  let pass: Pass;
  try {
    pass = await runPass(job, { hold, options: { ...options, telemetry } });
  } finally {
    await hold.release();
  }
  if (pass.unfinished > 0) {
    await options.sender.send(job, { delaySeconds: pass.delaySeconds });
    telemetry.info('batch job handed over', { ...pass });
  } else {
    telemetry.info('batch job finished', { total: job.items.length });
  }
}

interface Pass {
  readonly unfinished: number;
  readonly delaySeconds: number;
}

/** One walk over the items that have no result yet. */
async function runPass(
  job: Job,
  { hold, options }: { hold: JobHold; options: Delivery },
): Promise<Pass> {
  const stop = AbortSignal.any([options.stop, hold.lost]);
  const closesAt = performance.now() + options.jobDeadlineMs;
  const traceparent = `00-${randomBytes(16).toString('hex')}-${randomBytes(8).toString('hex')}-01`;
  const duplicates = duplicateIndexes(job);
  let finished = hold.view.results.size;
  let delaySeconds = 0;

  async function run(index: number): Promise<void> {
    const item = job.items[index];
    const place = placeOf(job.jobId, index, item);
    const outcome: ItemOutcome = duplicates.has(index)
      ? {
          kind: 'result',
          line: failed(place, 'duplicate_custom_id', 'An earlier item has this custom_id'),
        }
      : await answerItem(item, {
          ...options,
          place,
          deadlineMs: options.itemDeadlineMs,
          stop,
          traceparent,
        });
    if (outcome.kind === 'stopped') return;
    if (outcome.kind === 'result') {
      await hold.append({ type: 'result', index, line: outcome.line });
      finished += 1;
      return;
    }
    const attempts = (hold.view.attempts.get(index)?.count ?? 0) + 1;
    if (attempts >= MAX_ATTEMPTS) {
      const message = `The item failed ${attempts} times, at last with ${outcome.code}`;
      await hold.append({ type: 'result', index, line: failed(place, 'exhausted', message) });
      finished += 1;
      return;
    }
    await hold.append({ type: 'attempt', index, code: outcome.code });
    delaySeconds = Math.max(delaySeconds, retryDelay(attempts, outcome.afterSeconds));
  }

  await slidingWindow(unfinishedIndexes(job, hold), {
    width: options.concurrency,
    isClosed: () => stop.aborted || performance.now() >= closesAt,
    run,
  });
  return { unfinished: job.items.length - finished, delaySeconds };
}

function retryDelay(attempts: number, askedSeconds = 0): number {
  const delay = Math.max(askedSeconds, RETRY_DELAY_SECONDS * 2 ** (attempts - 1));
  return Math.min(delay, MAX_RETRY_DELAY_SECONDS);
}

function* unfinishedIndexes(job: Job, hold: JobHold): Generator<number> {
  for (const index of job.items.keys()) if (!hold.view.results.has(index)) yield index;
}

function duplicateIndexes(job: Job): ReadonlySet<number> {
  const seen = new Set<string>();
  const duplicates = new Set<number>();
  for (const [index, item] of job.items.entries()) {
    const id = customIdOf(item);
    if (id === null) continue;
    if (seen.has(id)) duplicates.add(index);
    seen.add(id);
  }
  return duplicates;
}
