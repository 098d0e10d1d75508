import type { Settings } from './read-config.ts';

/** How the storage account is to be reached, or undefined when no setting names one. */
export type StorageSettings =
  | { readonly kind: 'connectionString'; readonly connectionString: string }
  | { readonly kind: 'identity'; readonly blobUri: string; readonly queueUri: string };

export function storageSettings(settings: Settings): StorageSettings | undefined {
  const { storageConnection, storageBlobUri, storageQueueUri } = settings;
  if (storageBlobUri !== undefined && storageQueueUri !== undefined) {
    return { kind: 'identity', blobUri: storageBlobUri, queueUri: storageQueueUri };
  }
  if (storageConnection === undefined) return undefined;
  return { kind: 'connectionString', connectionString: storageConnection };
}
