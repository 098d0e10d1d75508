import { QueueClient } from '@azure/storage-queue';
import { toMessageText } from './job.ts';
import type { JobSender } from './job-sender.ts';
import { STORAGE_RETRIES, type StorageConnection } from './storage-connection.ts';
import { JOB_QUEUE } from './storage-names.ts';

/** The job queue in Azure Storage. */
export function createQueueJobSender(connection: StorageConnection): JobSender {
  const queue = connect(connection);
  return {
    async send(job, { delaySeconds }) {
      await queue.sendMessage(toMessageText(job), { visibilityTimeout: delaySeconds });
    },
  };
}

function connect(connection: StorageConnection): QueueClient {
  const options = { retryOptions: STORAGE_RETRIES };
  if (connection.kind === 'connectionString') {
    return new QueueClient(connection.connectionString, JOB_QUEUE, options);
  }
  return new QueueClient(`${connection.queueUri}/${JOB_QUEUE}`, connection.credential, options);
}
