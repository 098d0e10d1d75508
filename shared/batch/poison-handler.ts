import type { StorageQueueHandler, StorageQueueOutput } from '@azure/functions';
import { isRetryable, toServiceError } from '../errors.ts';
import { toMessageText } from './model/job-message.ts';
import { asQueueHandler, type BatchNeeds } from './queue-trigger.ts';

/**
 * Explains messages that the platform gave up. One that cannot be explained now, because storage is
 * away or the service does not start, is handed back as an output of the function: the platform
 * puts it on the queue of jobs again, and needs nothing of ours for it. A poison queue has no poison
 * queue of its own: after five failures a message would stay there until it is gone, without a word.
 */
export function asPoisonHandler(
  getService: () => Promise<BatchNeeds>,
  jobs: StorageQueueOutput,
): StorageQueueHandler {
  const explain = asQueueHandler(getService, (message, batch) => batch.explainPoison(message));
  return async (message, context) => {
    try {
      await explain(message, context);
    } catch (error) {
      // A defect would go round for ever; there the platform keeps the message.
      if (!isRetryable(toServiceError(error).code)) throw error;
      context.warn('batch message put back unexplained');
      context.extraOutputs.set(jobs, toMessageText(message));
    }
  };
}
