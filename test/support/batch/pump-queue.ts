import { setTimeout as delay } from 'node:timers/promises';
import type { JobProcessor } from '../../../shared/batch/processing/process-message.ts';
import type { StorageEnvironment } from './storage-environment.ts';

export interface PumpOptions {
  readonly processor: JobProcessor;
  readonly isDone: () => Promise<boolean>;
}

/** Delivers what is on the queue as the platform does, several messages at once, until it is done. */
export async function pumpQueue(
  { jobs }: Pick<StorageEnvironment, 'jobs'>,
  { processor, isDone }: PumpOptions,
): Promise<void> {
  const giveUpAt = performance.now() + 60_000;
  const running = new Set<Promise<void>>();
  const failures: unknown[] = [];
  while (!(await isDone())) {
    if (failures.length > 0) throw failures[0];
    if (performance.now() > giveUpAt) throw new Error('Pumped the queue in vain');
    const free = 6 - running.size;
    if (free > 0) {
      const { receivedMessageItems } = await jobs.receiveMessages({
        numberOfMessages: free,
        visibilityTimeout: 60,
      });
      for (const { messageId, popReceipt, messageText } of receivedMessageItems) {
        const work = processor
          .process(messageText)
          .then(() => jobs.deleteMessage(messageId, popReceipt))
          .catch((error: unknown) => void failures.push(error))
          .then(() => void running.delete(work));
        running.add(work);
      }
    }
    await delay(10);
  }
  await Promise.all(running);
  if (failures.length > 0) throw failures[0];
}
