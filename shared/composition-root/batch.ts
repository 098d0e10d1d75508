import type { TokenCredential } from '@azure/identity';
import type { Agent } from '../agent/agent.ts';
import type { Batch } from '../batch/queue-trigger.ts';
import type { StorageTimeouts } from '../storage/azure/storage-timeouts.ts';
import { INPUT_CONTAINER, RESULT_CONTAINER } from '../batch/storage-names.ts';
import type { Clock } from '../clock.ts';
import { type Settings, storageSettings } from '../config/read-config.ts';
import { ServiceError } from '../errors.ts';
import type { Telemetry } from '../telemetry/telemetry.ts';

export interface BatchWiring {
  readonly agent: Agent;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
  readonly credential: () => Promise<TokenCredential>;
}

/** Batch on the storage that the settings name. The storage client is loaded here, and not before. */
export async function createBatchFromSettings(
  settings: Settings,
  parts: BatchWiring,
): Promise<Batch> {
  const place = storageSettings(settings);
  if (place === undefined) {
    throw new ServiceError(
      'config_unavailable',
      'Cannot run batch jobs: AzureWebJobsStorage must be set',
    );
  }
  const { telemetry, clock, agent } = parts;
  const connection =
    place.kind === 'identity' ? { ...place, credential: await parts.credential() } : place;
  const [azureBlobs, azureQueue, { createBatch }, storageTimeouts] = await Promise.all([
    import('../storage/azure/azure-blob-container.ts'),
    import('../batch/azure-job-queue.ts'),
    import('../batch/create-batch.ts'),
    import('../storage/azure/storage-timeouts.ts'),
  ]);
  const { BACKGROUND_TIMEOUTS, requestTimeouts } = storageTimeouts;
  const storage = (timeouts: StorageTimeouts) => {
    const open = (container: string) =>
      azureBlobs.createAzureBlobContainer({ connection, container, telemetry, timeouts });
    const sender = azureQueue.createAzureJobSender(connection, timeouts);
    return { inputs: open(INPUT_CONTAINER), results: open(RESULT_CONTAINER), sender };
  };
  return createBatch({
    agent,
    publicModel: settings.agent.name,
    clock,
    telemetry,
    ...storage(BACKGROUND_TIMEOUTS),
    requestStorage: storage(requestTimeouts(settings.limits.answerDeadlineMs)),
    queueOwner: settings.batch.queueOwner,
    concurrency: settings.batch.concurrency,
    // The other half of the places is always there for chats.
    instanceConcurrency: Math.max(1, Math.floor(settings.model.maxConcurrentPerEndpoint / 2)),
    jobDeadlineMs: settings.batch.deadlineMs,
    itemDeadlineMs: settings.limits.answerDeadlineMs,
  });
}
