import { RestError } from '@azure/storage-queue';
import type { DequeuedMessageItem } from '@azure/storage-queue';
import type { ProcessorOptions } from './process-message.ts';

/** Fetches the next batch of a queue; nothing, when the queue is missing or out of reach. */
export type ReceiveMessages = () => Promise<readonly DequeuedMessageItem[]>;

export function createReceiver(options: ProcessorOptions, signal: AbortSignal): ReceiveMessages {
  const { config, timings, queue, func, log } = options;
  let reported = '';
  return async () => {
    try {
      const { receivedMessageItems } = await queue.receiveMessages({
        numberOfMessages: config.batchSize,
        visibilityTimeout: Math.ceil(timings.messageInvisibleMs / 1_000),
      });
      reported = '';
      return receivedMessageItems;
    } catch (error) {
      const code = error instanceof RestError ? (error.code ?? error.message) : String(error);
      // Once for each trouble: a queue that is missing is looked for many times a minute.
      if (!signal.aborted && code !== reported) {
        reported = code;
        const message = `Cannot look into queue '${func.source.queueName}' (${code}): it is tried again, and not created`;
        log('warning', `Function.${func.name}`, message);
      }
      return [];
    }
  };
}
