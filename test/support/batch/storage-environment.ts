import { ContainerClient } from '@azure/storage-blob';
import { QueueClient } from '@azure/storage-queue';
import { afterAll, beforeAll } from 'vitest';
import { startAzurite } from '../../../dev/azurite.ts';
import { prepareStorage } from '../../../dev/prepare-storage.ts';
import { blobPaths } from '../../../shared/batch/storage/blob-paths.ts';
import type { StorageConnection } from '../../../shared/storage/azure/storage-timeouts.ts';
import { JOB_QUEUE, RESULT_CONTAINER } from '../../../shared/batch/storage-names.ts';

export interface StorageEnvironment {
  readonly connection: StorageConnection;
  readonly connectionString: string;
  readonly blobPort: number;
  readonly queuePort: number;
  readonly results: ContainerClient;
  readonly jobs: QueueClient;
  /** The text of a journal as it is stored. */
  journalText(jobId: string): Promise<string>;
  stop(): Promise<void>;
}

/** A storage emulator of its own with everything that the batch engine expects. */
export async function startStorageEnvironment(): Promise<StorageEnvironment> {
  const azurite = await startAzurite();
  const { connectionString } = azurite;
  await prepareStorage(connectionString);
  const results = new ContainerClient(connectionString, RESULT_CONTAINER);
  return {
    connection: { kind: 'connectionString', connectionString },
    connectionString,
    blobPort: azurite.ports.blob,
    queuePort: azurite.ports.queue,
    results,
    jobs: new QueueClient(connectionString, JOB_QUEUE),
    async journalText(jobId) {
      const bytes = await results.getBlobClient(blobPaths.journal(jobId, 0)).downloadToBuffer();
      return bytes.toString('utf8');
    },
    stop: () => azurite.stop(),
  };
}

/**
 * One storage emulator for all environments of a test file, as a setting of theirs. Only for tests
 * that put nothing on a queue: an app that serves another test would take it.
 */
export function shareStorage(): () => { readonly AzureWebJobsStorage: string } {
  let storage: StorageEnvironment | undefined;
  beforeAll(async () => {
    storage = await startStorageEnvironment();
  });
  afterAll(() => storage?.stop());
  return () => {
    if (storage === undefined) throw new Error('Cannot share a storage before it is started');
    return { AzureWebJobsStorage: storage.connectionString };
  };
}
