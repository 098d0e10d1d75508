import { QueueClient } from '@azure/storage-queue';
import { ServiceError } from '../../errors.ts';
import {
  BACKGROUND_TIMEOUTS,
  createStorageCallTimer,
  type StorageConnection,
  type StorageTimeouts,
} from './storage-timeouts.ts';

/** Largest message of Azure Queue Storage. */
const MAX_MESSAGE_BYTES = 65_536;

export interface AzureQueueOptions {
  readonly connection: StorageConnection;
  readonly queue: string;
  readonly timeouts?: StorageTimeouts | undefined;
}

/** Sends messages to a queue. */
export interface QueueSender {
  /** @throws ServiceError payload_too_large, storage_unavailable or config_unavailable */
  send(text: string, options: { readonly delaySeconds: number }): Promise<void>;
}

/** A queue of Azure Queue Storage. */
export function createAzureQueue(options: AzureQueueOptions): QueueSender {
  const { callMs } = options.timeouts ?? BACKGROUND_TIMEOUTS;
  const queue = connect(options);
  return {
    async send(text, { delaySeconds }) {
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
  };
}

function connect({
  connection,
  queue,
  timeouts = BACKGROUND_TIMEOUTS,
}: AzureQueueOptions): QueueClient {
  const { retryOptions } = timeouts;
  if (connection.kind === 'connectionString') {
    return new QueueClient(connection.connectionString, queue, { retryOptions });
  }
  return new QueueClient(`${connection.queueUri}/${queue}`, connection.credential, {
    retryOptions,
  });
}
