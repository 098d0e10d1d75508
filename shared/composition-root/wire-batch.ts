import type { TokenCredential } from '@azure/identity';
import type { Agent } from '../agent/agent.ts';
import type { Batch } from '../batch/queue-handler.ts';
import { INPUT_CONTAINER, RESULT_CONTAINER } from '../batch/storage-names.ts';
import type { Clock } from '../clock.ts';
import type { Settings } from '../config/read-config.ts';
import { storageSettings } from '../config/storage-settings.ts';
import { ServiceError } from '../errors.ts';
import type { Telemetry } from '../telemetry/telemetry.ts';

export interface BatchParts {
  readonly agent: Agent;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
  readonly credential: () => Promise<TokenCredential>;
}

/** Batch on the storage that the settings name. The storage client is loaded here, and not before. */
export async function wireBatch(settings: Settings, parts: BatchParts): Promise<Batch> {
  const storage = storageSettings(settings);
  if (storage === undefined) {
    throw new ServiceError(
      'config_unavailable',
      'Cannot run batch jobs: AzureWebJobsStorage must be set',
    );
  }
  const { telemetry, clock, agent } = parts;
  const connection =
    storage.kind === 'identity' ? { ...storage, credential: await parts.credential() } : storage;
  const [{ createAzureBlobArea }, { createQueueJobSender }, { createBatch }] = await Promise.all([
    import('../batch/azure-blob-area.ts'),
    import('../batch/queue-job-sender.ts'),
    import('../batch/create-batch.ts'),
  ]);
  const area = (container: string) => createAzureBlobArea({ connection, container, telemetry });
  return createBatch({
    agent,
    clock,
    telemetry,
    inputs: area(INPUT_CONTAINER),
    results: area(RESULT_CONTAINER),
    sender: createQueueJobSender(connection),
    concurrency: settings.batch.concurrency,
    // The other half of the places is always there for chats.
    instanceConcurrency: Math.max(1, Math.floor(settings.model.maxConcurrentPerEndpoint / 2)),
    jobDeadlineMs: settings.batch.deadlineMs,
    itemDeadlineMs: settings.limits.answerDeadlineMs,
  });
}
