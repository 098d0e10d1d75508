import { createAzureQueue } from '../storage/azure/azure-queue.ts';
import type { StorageConnection, StorageTimeouts } from '../storage/azure/storage-timeouts.ts';
import { type JobSender, toMessageText } from './model/job-message.ts';
import { JOB_QUEUE } from './storage-names.ts';

/** Sends jobs to the job queue in Azure Storage. */
export function createAzureJobSender(
  connection: StorageConnection,
  timeouts?: StorageTimeouts,
): JobSender {
  const queue = createAzureQueue({ connection, queue: JOB_QUEUE, timeouts });
  return {
    send: (job, options) => queue.send(toMessageText(job), options),
    hasWaiting: () => queue.hasWaiting(),
  };
}
