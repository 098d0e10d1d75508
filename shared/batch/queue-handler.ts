import type { StorageQueueHandler } from '@azure/functions';
import type { BatchDesk } from './batch-desk.ts';
import type { BatchStore } from './batch-store.ts';
import type { FileDesk } from './file-desk.ts';
import type { JobProcessor } from './process-job.ts';

/** The parts of batch. They are made for the first message or request, not for a chat. */
export interface Batch {
  readonly processor: JobProcessor;
  readonly store: BatchStore;
  readonly desk: BatchDesk;
  readonly files: FileDesk;
  /** Takes a message that the platform gave up. */
  explainPoison(message: unknown): Promise<void>;
}

export interface BatchNeeds {
  batch(): Promise<Batch>;
}

/**
 * Wraps what is done with a message as a handler of the platform. A rejection is meant: it makes
 * the platform deliver the message again.
 */
export function asQueueHandler(
  getService: () => Promise<BatchNeeds>,
  handle: (message: unknown, batch: Batch) => Promise<void>,
): StorageQueueHandler {
  return async (message) => {
    const service = await getService();
    await handle(message, await service.batch());
  };
}
