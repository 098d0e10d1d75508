import { createAzureBlobContainer } from '../../../shared/storage/azure/azure-blob-container.ts';
import type { Job } from '../../../shared/batch/model/job-message.ts';
import { createAzureJobSender } from '../../../shared/batch/azure-job-queue.ts';
import { RESULT_CONTAINER } from '../../../shared/batch/storage-names.ts';
import { noopTelemetry } from '../../../shared/telemetry/create-telemetry.ts';
import { readJob, type JobResults } from './read-job.ts';

export interface JobClient {
  submit(job: Job): Promise<void>;
  /** What one shard of a job has; undefined before it was begun. */
  read(jobId: string, shard?: number): Promise<JobResults | undefined>;
}

/** A producer of queue messages that looks into the storage for what became of them. */
export function createJobClient(connectionString: string): JobClient {
  const connection = { kind: 'connectionString', connectionString } as const;
  const telemetry = noopTelemetry;
  const container = createAzureBlobContainer({
    connection,
    container: RESULT_CONTAINER,
    telemetry,
  });
  const sender = createAzureJobSender(connection);
  return {
    submit: (job) => sender.send(job, { delaySeconds: 0 }),
    read: (jobId, shard) => readJob(container, jobId, shard),
  };
}
