import { createBlobResultStore } from '../../shared/batch/blob-result-store.ts';
import type { Job } from '../../shared/batch/job.ts';
import { createQueueJobSender } from '../../shared/batch/queue-job-sender.ts';
import type { JobView } from '../../shared/batch/result.ts';
import { systemClock } from '../../shared/clock.ts';
import { silentTelemetry } from '../../shared/telemetry/silent-telemetry.ts';
import { requireConnectionString } from '../require-connection-string.ts';

/** All that a producer of jobs needs from the outside. */
export interface BatchService {
  submit(job: Job): Promise<void>;
  /** What is known of a job so far; nothing before its first item begins. */
  read(jobId: string): Promise<JobView | undefined>;
}

/** The queue and the results of a storage account. */
export function createBatchService(connectionString: string): BatchService {
  requireConnectionString(connectionString);
  const connection = { kind: 'connectionString', connectionString } as const;
  const sender = createQueueJobSender(connection);
  const store = createBlobResultStore({
    connection,
    clock: systemClock,
    telemetry: silentTelemetry,
  });
  return {
    submit: (job) => sender.send(job, { delaySeconds: 0 }),
    read: (jobId) => store.read(jobId),
  };
}
