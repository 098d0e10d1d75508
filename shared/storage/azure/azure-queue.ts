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
/** Most messages of one response of Azure Queue Storage. */
const MAX_RECEIVED = 32;

export interface AzureQueueOptions {
  readonly connection: StorageConnection;
  readonly queue: string;
  readonly timeouts?: StorageTimeouts | undefined;
}

/** @throws ServiceError storage_unavailable or config_unavailable */
export interface AzureQueue {
  /** @throws ServiceError payload_too_large */
  send(text: string, options: { readonly delaySeconds: number }): Promise<void>;
  /** Whether a message waits that no consumer has received; one with a delay does not. */
  hasWaiting(): Promise<boolean>;
  /** At most `max` messages that are visible now; they are hidden from others for that time. */
  receive(max: number, options: { readonly hiddenSeconds: number }): Promise<ReceivedMessage[]>;
}

export interface ReceivedMessage {
  readonly text: string;
  /** Deletes the message, unless it became visible in the meantime. */
  readonly remove: () => Promise<void>;
}

/** A queue of Azure Queue Storage. */
export function createAzureQueue(options: AzureQueueOptions): AzureQueue {
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
    async hasWaiting() {
      const timer = createStorageCallTimer(callMs);
      const { signal: abortSignal } = timer;
      const { peekedMessageItems } = await timer.call(queue.peekMessages({ abortSignal }));
      return peekedMessageItems.length > 0;
    },
    async receive(max, { hiddenSeconds: visibilityTimeout }) {
      const timer = createStorageCallTimer(callMs);
      const { signal: abortSignal } = timer;
      const numberOfMessages = Math.min(max, MAX_RECEIVED);
      const { receivedMessageItems } = await timer.call(
        queue.receiveMessages({ numberOfMessages, visibilityTimeout, abortSignal }),
      );
      return receivedMessageItems.map(({ messageText: text, messageId, popReceipt }) => ({
        text,
        remove: async () => {
          const removal = createStorageCallTimer(callMs);
          await removal
            .call(queue.deleteMessage(messageId, popReceipt, { abortSignal: removal.signal }))
            // It is visible again, and its next delivery finds what was done.
            .catch(() => undefined);
        },
      }));
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
