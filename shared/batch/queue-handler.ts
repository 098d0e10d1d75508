import type { StorageQueueHandler } from '@azure/functions';
import type { JobProcessor } from './process-job.ts';
import type { ResultStore } from './result-store.ts';

/** The parts that a queue message needs. They are made for the first message, not for a chat. */
export interface Batch {
  readonly processor: JobProcessor;
  readonly store: ResultStore;
}

export interface BatchNeeds {
  batch(): Promise<Batch>;
}

/**
 * Wraps what is done with a message as a handler of the platform. A rejection is meant: it makes
 * the platform deliver the message again.
 */
export function asQueueHandler<Needs extends BatchNeeds>(
  getService: () => Promise<Needs>,
  handle: (
    message: unknown,
    needs: { readonly service: Needs; readonly batch: Batch },
  ) => Promise<void>,
): StorageQueueHandler {
  return async (message) => {
    const service = await getService();
    await handle(message, { service, batch: await service.batch() });
  };
}
