import { ContainerClient } from '@azure/storage-blob';
import { createAzureBlobContainer } from '../../../shared/storage/azure/azure-blob-container.ts';
import type { BlobContainer } from '../../../shared/storage/blob-container.ts';
import { RESULT_CONTAINER } from '../../../shared/batch/storage-names.ts';
import { noopTelemetry } from '../../../shared/telemetry/create-telemetry.ts';
import { createJobClient, type JobClient } from './job-client.ts';

/** A look into the storage of batches from the outside. */
export interface StorageView extends JobClient {
  readonly results: BlobContainer;
  readonly container: ContainerClient;
}

export function startStorageView(connectionString: string): StorageView {
  const connection = { kind: 'connectionString', connectionString } as const;
  const container = RESULT_CONTAINER;
  return {
    ...createJobClient(connectionString),
    results: createAzureBlobContainer({ connection, container, telemetry: noopTelemetry }),
    container: new ContainerClient(connectionString, container),
  };
}
