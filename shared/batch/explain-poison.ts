import type { Telemetry } from '../telemetry/telemetry.ts';
import { failUnfinished } from './fail-unfinished.ts';
import { parseJob } from './job.ts';
import type { ResultStore } from './result-store.ts';

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
    const reason = 'Another job with other items has this jobId';
    await store.recordDeadLetter({ reason, message, jobId: job.jobId });
    telemetry.error('batch message poisoned', { jobId: job.jobId, reason });
    return;
  }
  try {
    const why = 'its message failed at each delivery';
    const exhausted = await failUnfinished(job, { hold, why });
    telemetry.error('batch message poisoned', { jobId: job.jobId, exhausted });
  } finally {
    await hold.release();
  }
}
