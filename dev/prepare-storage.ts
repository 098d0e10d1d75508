import { BlobServiceClient } from '@azure/storage-blob';
import { QueueServiceClient } from '@azure/storage-queue';
import {
  INPUT_CONTAINER,
  JOB_QUEUE,
  POISON_QUEUE,
  RESULT_CONTAINER,
} from '../shared/batch/storage-names.ts';
import { IDEMPOTENCY_CONTAINER } from '../shared/idempotency/idempotency-store.ts';
import { CONVERSATION_CONTAINER } from '../shared/sessions/conversation-store.ts';
import { RUN_CONTAINER, RUN_POISON_QUEUE, RUN_QUEUE } from '../shared/runs/storage-names.ts';
import { CliError, firstLine } from './cli-error.ts';
import { requireConnectionString } from './require-connection-string.ts';

/** Storage that does not answer at once on a laptop is unavailable: few retries. */
const RETRY = { maxTries: 2, tryTimeoutInMs: 10_000, maxRetryDelayInMs: 500 } as const;

const CONTAINERS = [
  INPUT_CONTAINER,
  RESULT_CONTAINER,
  RUN_CONTAINER,
  CONVERSATION_CONTAINER,
  IDEMPOTENCY_CONTAINER,
];

/** Creates the queues and containers that triggers need. Existing ones stay unchanged. */
export async function prepareStorage(connectionString: string): Promise<void> {
  requireConnectionString(connectionString);
  try {
    const queues = QueueServiceClient.fromConnectionString(connectionString, {
      retryOptions: RETRY,
    });
    const blobs = BlobServiceClient.fromConnectionString(connectionString, { retryOptions: RETRY });
    await Promise.all([
      ...[JOB_QUEUE, POISON_QUEUE, RUN_QUEUE, RUN_POISON_QUEUE].map((name) =>
        queues.getQueueClient(name).createIfNotExists(),
      ),
      ...CONTAINERS.map((name) => blobs.getContainerClient(name).createIfNotExists()),
    ]);
  } catch (error) {
    throw new CliError(`Cannot prepare the storage of AzureWebJobsStorage: ${firstLine(error)}`, {
      cause: error,
    });
  }
}
