import type { Telemetry } from '../telemetry/telemetry.ts';
import { placeOf } from './answer-item.ts';
import { parseJob, type Job } from './job.ts';
import { failed } from './result.ts';
import type { JobHold, ResultStore } from './result-store.ts';

export interface PoisonNeeds {
  readonly store: ResultStore;
  readonly telemetry: Telemetry;
}

/** Thrown so that the message comes again: a hold ends by itself when its owner is gone. */
class JobStillHeldError extends Error {
  constructor(jobId: string) {
    super(`Cannot explain job ${jobId} while another delivery holds it`);
    this.name = 'JobStillHeldError';
  }
}

/**
 * Takes a message that the platform gave up after its last delivery: the process ended or storage
 * was away each time. Every item without a result gets one that says so; what was answered stays.
 */
export async function explainPoison(message: unknown, needs: PoisonNeeds): Promise<void> {
  const { store, telemetry } = needs;
  const parsed = parseJob(message);
  if (!parsed.ok) {
    await store.recordDeadLetter({ reason: parsed.reason, message });
    telemetry.error('batch message poisoned', { reason: parsed.reason });
    return;
  }
  const { job } = parsed;
  const hold = await store.open(job);
  if (hold === 'busy') throw new JobStillHeldError(job.jobId);
  if (hold === 'conflict') {
    const reason = 'another job with other items has this jobId';
    await store.recordDeadLetter({ reason, message, jobId: job.jobId });
    telemetry.error('batch message poisoned', { jobId: job.jobId, reason });
    return;
  }
  try {
    const exhausted = await failUnfinished(job, hold);
    telemetry.error('batch message poisoned', { jobId: job.jobId, exhausted });
  } finally {
    await hold.release();
  }
}

async function failUnfinished(job: Job, hold: JobHold): Promise<number> {
  const appends: Promise<void>[] = [];
  for (const [index, item] of job.items.entries()) {
    if (hold.view.results.has(index)) continue;
    const last = hold.view.attempts.get(index)?.lastCode ?? 'no answer before the process ended';
    const message = `The item was given up after the last delivery of its job: ${last}`;
    const line = failed(placeOf(job.jobId, index, item), 'exhausted', message);
    appends.push(hold.append({ type: 'result', index, line }));
  }
  await Promise.all(appends);
  return appends.length;
}
