import { RestError } from '@azure/storage-queue';
import type { DequeuedMessageItem } from '@azure/storage-queue';
import { createPollingInterval } from './polling-interval.ts';
import { processMessage } from './process-message.ts';
import type { ProcessorOptions } from './process-message.ts';

/** Looks into one queue for one function. */
export interface QueueListener {
  /** Looks again at once: somebody knows that there is a message. */
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
  let wake = (): void => undefined;

  async function run(): Promise<void> {
    while (!stopping.signal.aborted) {
      const messages = await receive();
      for (const message of messages) start(message);
      if (messages.length === 0) await pause(interval.next(false));
      else {
        interval.next(true);
        // A new batch is fetched only when few enough of the last ones are still in work.
        while (inWork.size > config.newBatchThreshold) await Promise.race(inWork);
      }
    }
  }

  async function receive(): Promise<readonly DequeuedMessageItem[]> {
    try {
      const { receivedMessageItems } = await options.queue.receiveMessages({
        numberOfMessages: config.batchSize,
        visibilityTimeout: Math.ceil(timings.messageInvisibleMs / 1_000),
        abortSignal: stopping.signal,
      });
      return receivedMessageItems;
    } catch (error) {
      if (!stopping.signal.aborted) reportOnce(error);
      return [];
    }
  }

  let reported = '';
  function reportOnce(error: unknown): void {
    const code = error instanceof RestError ? (error.code ?? error.message) : String(error);
    if (code === reported) return;
    reported = code;
    const { func, log } = options;
    log(
      'warning',
      `Function.${func.name}`,
      `Cannot look into queue '${func.source.queueName}' (${code}): it is tried again, and not created`,
    );
  }

  function start(message: DequeuedMessageItem): void {
    const work = processMessage(message, options)
      .catch((error: unknown) => {
        const { func, log } = options;
        // Somebody else has the message by now: it will be delivered again.
        log('warning', `Function.${func.name}`, `Cannot settle a message: ${String(error)}`);
      })
      .finally(() => inWork.delete(work));
    inWork.add(work);
  }

  function pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      wake = () => {
        clearTimeout(timer);
        resolve();
      };
      if (stopping.signal.aborted) wake();
    });
  }

  const running = run();
  return {
    notify: () => wake(),
    stop() {
      stopping.abort();
      wake();
    },
    async idle() {
      await Promise.race([running, Promise.all(inWork)]);
      await Promise.all(inWork);
    },
  };
}
