import { ContainerClient } from '@azure/storage-blob';
import { createAzureBlobArea } from '../../../shared/storage/azure/azure-blob-container.ts';
import type { BlobArea } from '../../../shared/storage/blob-container.ts';
import { RESULT_CONTAINER } from '../../../shared/batch/storage-names.ts';
import { silentTelemetry } from '../../../shared/telemetry/create-telemetry.ts';
import { createJobClient, type JobClient } from './job-client.ts';

/** A look into the storage of batches from the outside. */
export interface StorageView extends JobClient {
  readonly results: BlobArea;
  readonly container: ContainerClient;
}

export function startStorageView(connectionString: string): StorageView {
  const connection = { kind: 'connectionString', connectionString } as const;
  const container = RESULT_CONTAINER;
  return {
    ...createJobClient(connectionString),
    results: createAzureBlobArea({ connection, container, telemetry: silentTelemetry }),
    container: new ContainerClient(connectionString, container),
  };
}
