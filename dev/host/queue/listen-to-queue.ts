import type { DequeuedMessageItem } from '@azure/storage-queue';
import { createPollingInterval } from './polling-interval.ts';
import { processMessage } from './process-message.ts';
import type { ProcessorOptions } from './process-message.ts';
import { createReceiver } from './receive-messages.ts';

/** Looks into one queue for one function. */
export interface QueueListener {
  /** Polls at once, because a message was written. */
  notify(): void;
  /** Takes no further message. */
  stop(): void;
  /** Resolves when nothing is in work. */
  idle(): Promise<void>;
}

/** Polls a queue the way the platform does: in batches, with waits that grow while it is empty. */
export function listenToQueue(options: ProcessorOptions): QueueListener {
  const { config, timings } = options;
  const interval = createPollingInterval({
    minMs: timings.minPollingMs,
    maxMs: config.maxPollingMs,
  });
  const inWork = new Set<Promise<void>>();
  const stopping = new AbortController();
  const receive = createReceiver(options, stopping.signal);
  const nap = createNap();

  async function run(): Promise<void> {
    while (!stopping.signal.aborted) {
      const messages = await receive();
      for (const message of messages) start(message);
      const waitMs = interval.next(messages.length > 0);
      if (messages.length === 0 && !stopping.signal.aborted) await nap.sleep(waitMs);
      // A new batch is fetched only when few enough of the last ones are still in work.
      while (inWork.size > config.newBatchThreshold) await Promise.race(inWork);
    }
  }

  function start(message: DequeuedMessageItem): void {
    const work = processMessage(message, options)
      .catch((error: unknown) => {
        // Another consumer has the message, or the queue was deleted: it will be delivered again.
        const reason = `Cannot settle message ${message.messageId}: ${String(error)}`;
        options.log('warning', `Function.${options.func.name}`, reason);
      })
      .finally(() => inWork.delete(work));
    inWork.add(work);
  }

  const running = run();
  return {
    notify: () => nap.wake(),
    stop() {
      stopping.abort();
      nap.wake();
    },
    async idle() {
      await running;
      await Promise.all(inWork);
    },
  };
}

/** A wait that can be cut short. */
function createNap(): { sleep(ms: number): Promise<void>; wake(): void } {
  let wake = (): void => undefined;
  return {
    sleep: (ms) =>
      new Promise((resolve) => {
        const timer = setTimeout(resolve, ms);
        wake = () => {
          clearTimeout(timer);
          resolve();
        };
      }),
    wake: () => wake(),
  };
}
