import type { TokenCredential } from '@azure/identity';
import { raceAbort } from '../../resilience/abort.ts';
import { toStorageError } from './storage-errors.ts';

/** How to reach the storage account: by connection string locally, by identity on Azure. */
export type StorageConnection =
  | { readonly kind: 'connectionString'; readonly connectionString: string }
  | {
      readonly kind: 'identity';
      readonly blobUri: string;
      readonly queueUri: string;
      readonly credential: TokenCredential;
    };

/** How long a call to storage may take before storage counts as unavailable. */
export interface StorageTimeouts {
  /** Longest wait in ms for one call including its retries, or for one chunk of a stream. */
  readonly callMs: number;
  readonly retryOptions: {
    readonly maxTries: number;
    /** Only a hint that is sent to the server; `callMs` is what ends a call. */
    readonly tryTimeoutInMs: number;
    readonly retryDelayInMs: number;
    readonly maxRetryDelayInMs: number;
  };
}

/**
 * For queue processing, where a failed call costs a delivery and repeats the model calls in flight.
 * The retries cover about 4 s of throttling; a lease lasts 15 s.
 */
export const BACKGROUND_TIMEOUTS: StorageTimeouts = {
  callMs: 45_000,
  retryOptions: {
    maxTries: 6,
    tryTimeoutInMs: 10_000,
    retryDelayInMs: 200,
    maxRetryDelayInMs: 2_000,
  },
};

const MAX_REQUEST_CALL_MS = 8_000;
/** Creating a batch makes the longest sequence of storage calls of any request. */
const CALLS_IN_SERIES = 6;

/** For HTTP requests, where a caller waits for the response and can retry. */
export function requestTimeouts(answerDeadlineMs: number): StorageTimeouts {
  return {
    callMs: Math.min(MAX_REQUEST_CALL_MS, Math.ceil(answerDeadlineMs / CALLS_IN_SERIES)),
    retryOptions: {
      maxTries: 3,
      tryTimeoutInMs: 4_000,
      retryDelayInMs: 200,
      maxRetryDelayInMs: 1_000,
    },
  };
}

/** Storage did not respond in time. */
class StorageTimeoutError extends Error {
  readonly code = 'timeout';

  constructor(callMs: number) {
    super(`Storage did not respond within ${callMs} ms`);
    this.name = 'StorageTimeoutError';
  }
}

/**
 * Limits how long one use of storage may wait, because the client library waits for ever for a
 * server that never responds. Failures are thrown as ServiceErrors. The time that the caller spends
 * between two chunks does not count.
 */
export interface StorageCallTimer {
  /** Aborts on a timeout. Pass it to the client library. */
  readonly signal: AbortSignal;
  /** Waits for one call and its complete response. */
  call<T>(pending: Promise<T>): Promise<T>;
  /** Wraps a download; the timer runs only while storage produces a chunk. */
  download<T>(source: AsyncIterable<T>): AsyncGenerator<T, void, void>;
  /** Wraps an upload source; the timer runs only while storage consumes a chunk. */
  upload<T>(content: AsyncIterable<T>): AsyncGenerator<T, void, void>;
}

export function createStorageCallTimer(callMs: number): StorageCallTimer {
  const timeout = new AbortController();
  const { signal } = timeout;
  let timer: NodeJS.Timeout | undefined;

  function stop(): void {
    clearTimeout(timer);
  }
  function start(): void {
    stop();
    timer = setTimeout(() => timeout.abort(new StorageTimeoutError(callMs)), callMs);
  }

  async function call<T>(pending: Promise<T>): Promise<T> {
    start();
    try {
      return await raceAbort(pending, signal);
    } catch (error) {
      throw toStorageError(signal.aborted ? signal.reason : error);
    } finally {
      stop();
    }
  }

  return {
    signal,
    call,
    async *download(source) {
      const iterator = source[Symbol.asyncIterator]();
      let isOpen = true;
      try {
        for (;;) {
          isOpen = false;
          const { done, value } = await call(iterator.next());
          if (done === true) return;
          isOpen = true;
          yield value;
        }
      } finally {
        // A source that failed has ended, and one that hangs would never return.
        if (isOpen) await iterator.return?.();
      }
    },
    async *upload(content) {
      stop();
      try {
        for await (const chunk of content) {
          start();
          yield chunk;
          stop();
        }
        start();
      } catch (error) {
        stop();
        throw error;
      }
    },
  };
}

/**
 * The time of the storage server, estimated from the dates of its responses. Instances whose own
 * clocks differ agree on it: between two responses it advances by the monotonic clock.
 */
export interface ServerClock {
  /** Records the date of a response that has just arrived. */
  observe(date: Date | undefined): void;
  /** Epoch milliseconds; undefined before the first response. */
  now(): number | undefined;
}

/** A response date has whole seconds, and the response travels for a while. */
const MAX_RESPONSE_DELAY_MS = 2_000;

export function createServerClock(monotonic = () => performance.now()): ServerClock {
  let offset: number | undefined;
  return {
    observe(date) {
      if (date === undefined || Number.isNaN(date.getTime())) return;
      const observed = date.getTime() - monotonic();
      // Responses arrive late, never early: keep the largest offset. A much smaller one means that
      // the server clock was set back.
      if (offset === undefined || observed > offset || observed < offset - MAX_RESPONSE_DELAY_MS)
        offset = observed;
    },
    now: () => (offset === undefined ? undefined : Math.round(offset + monotonic())),
  };
}
