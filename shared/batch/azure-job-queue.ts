import { QueueClient } from '@azure/storage-queue';
import { ServiceError } from '../errors.ts';
import { type JobSender, toMessageText } from './model/job-message.ts';
import {
  BACKGROUND_TIMEOUTS,
  type StorageConnection,
  type StorageTimeouts,
  createStorageCallTimer,
} from '../storage/azure/storage-timeouts.ts';
import { JOB_QUEUE } from './storage-names.ts';

/** Largest message of Azure Queue Storage. */
const MAX_MESSAGE_BYTES = 65_536;

/** Sends jobs to the job queue in Azure Storage. */
export function createAzureJobSender(
  connection: StorageConnection,
  { callMs, retryOptions }: StorageTimeouts = BACKGROUND_TIMEOUTS,
): JobSender {
  const queue = connect(connection, retryOptions);
  return {
    async send(job, { delaySeconds }) {
      const text = toMessageText(job);
      const bytes = Buffer.byteLength(text);
      if (bytes > MAX_MESSAGE_BYTES) {
        throw new ServiceError(
          'payload_too_large',
          `Cannot send the job: its message must have at most ${MAX_MESSAGE_BYTES} bytes, not ${bytes}; put its items into a blob`,
        );
      }
      const timer = createStorageCallTimer(callMs);
      const { signal: abortSignal } = timer;
      await timer.call(queue.sendMessage(text, { visibilityTimeout: delaySeconds, abortSignal }));
    },
    async hasWaiting() {
      const timer = createStorageCallTimer(callMs);
      const { signal: abortSignal } = timer;
      // Messages with a delay and those that an instance processes are invisible, so not among them.
      const { peekedMessageItems } = await timer.call(queue.peekMessages({ abortSignal }));
      return peekedMessageItems.length > 0;
    },
  };
}

function connect(
  connection: StorageConnection,
  retryOptions: StorageTimeouts['retryOptions'],
): QueueClient {
  const options = { retryOptions };
  if (connection.kind === 'connectionString') {
    return new QueueClient(connection.connectionString, JOB_QUEUE, options);
  }
  return new QueueClient(`${connection.queueUri}/${JOB_QUEUE}`, connection.credential, options);
}
