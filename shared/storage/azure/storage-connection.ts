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

/** How long storage is asked before it counts as away. */
export interface StoragePatience {
  /** Longest wait for one call with its repeats, or for one piece of a stream. */
  readonly callMs: number;
  readonly retryOptions: {
    readonly maxTries: number;
    /** Told to the server, which is why it alone ends no call: `callMs` does. */
    readonly tryTimeoutInMs: number;
    readonly retryDelayInMs: number;
    readonly maxRetryDelayInMs: number;
  };
}

/**
 * Of work on the queue: giving up costs a delivery, and what was being asked is asked again. So it
 * waits four seconds for a storage that is busy; a hold lasts for fifteen.
 */
export const PATIENT: StoragePatience = {
  callMs: 45_000,
  retryOptions: {
    maxTries: 6,
    tryTimeoutInMs: 10_000,
    retryDelayInMs: 200,
    maxRetryDelayInMs: 2_000,
  },
};

const MAX_REQUEST_CALL_MS = 8_000;
/** Creating a batch is the longest row of calls of one request. */
const CALLS_IN_A_ROW = 6;

/** Of a request: somebody waits for it, and can ask again. */
export function requestPatience(answerDeadlineMs: number): StoragePatience {
  return {
    callMs: Math.min(MAX_REQUEST_CALL_MS, Math.ceil(answerDeadlineMs / CALLS_IN_A_ROW)),
    retryOptions: {
      maxTries: 3,
      tryTimeoutInMs: 4_000,
      retryDelayInMs: 200,
      maxRetryDelayInMs: 1_000,
    },
  };
}
