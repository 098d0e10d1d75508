import type { TokenCredential } from '@azure/identity';

/** How to reach the storage account: by connection string locally, by identity on Azure. */
export type StorageConnection =
  | { readonly kind: 'connectionString'; readonly connectionString: string }
  | {
      readonly kind: 'identity';
      readonly blobUri: string;
      readonly queueUri: string;
      readonly credential: TokenCredential;
    };

/** A storage call that hangs must not outlive a message's turn. */
export const STORAGE_RETRIES = {
  maxTries: 4,
  tryTimeoutInMs: 10_000,
  retryDelayInMs: 200,
  maxRetryDelayInMs: 2_000,
} as const;
