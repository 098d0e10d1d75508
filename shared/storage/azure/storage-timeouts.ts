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

/** How long storage is asked before it counts as away. */
export interface StorageTimeouts {
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
/** Creating a batch is the longest row of calls of one request. */
const CALLS_IN_SERIES = 6;

/** Of a request: somebody waits for it, and can ask again. */
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

/** Thrown in the place of an answer that did not come. */
class StorageTimeoutError extends Error {
  readonly code = 'silent';

  constructor(callMs: number) {
    super(`Storage did not answer within ${callMs} ms`);
    this.name = 'StorageTimeoutError';
  }
}

/**
 * Watches over one use of storage. The client library asks the server to be quick and waits for
 * ever when nobody is there; here the waiting ends, and what goes wrong becomes a failure of ours.
 * The time that callers take between two pieces does not count.
 */
export interface StorageCallTimer {
  /** Aborts when storage was silent for too long. To be handed to the client library. */
  readonly signal: AbortSignal;
  /** One call and its whole answer. */
  answer<T>(call: Promise<T>): Promise<T>;
  /** What storage sends piece by piece. */
  pieces<T>(source: AsyncIterable<T>): AsyncGenerator<T, void, void>;
  /** What storage takes piece by piece: it has the turn whenever it does not ask for the next. */
  taken<T>(content: AsyncIterable<T>): AsyncGenerator<T, void, void>;
}

export function createStorageCallTimer(callMs: number): StorageCallTimer {
  const silent = new AbortController();
  const { signal } = silent;
  let timer: NodeJS.Timeout | undefined;

  function stop(): void {
    clearTimeout(timer);
  }
  function start(): void {
    stop();
    timer = setTimeout(() => silent.abort(new StorageTimeoutError(callMs)), callMs);
  }

  async function answer<T>(call: Promise<T>): Promise<T> {
    start();
    try {
      return await raceAbort(call, signal);
    } catch (error) {
      throw toStorageError(signal.aborted ? signal.reason : error);
    } finally {
      stop();
    }
  }

  return {
    signal,
    answer,
    async *pieces(source) {
      const iterator = source[Symbol.asyncIterator]();
      let isOpen = true;
      try {
        for (;;) {
          isOpen = false;
          const { done, value } = await answer(iterator.next());
          if (done === true) return;
          isOpen = true;
          yield value;
        }
      } finally {
        // After a failure there is nothing to end, and a silent source would not hear of it.
        if (isOpen) await iterator.return?.();
      }
    },
    async *taken(content) {
      stop();
      try {
        for await (const piece of content) {
          start();
          yield piece;
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
 * The time of a storage, as its answers tell it. Instances whose own clocks differ, or are set, agree
 * on it: between two answers it goes on by the clock that nobody sets.
 */
export interface ServerClock {
  /** Takes the date of an answer that has just come. */
  hear(date: Date | undefined): void;
  /** Milliseconds since the epoch; undefined before the first answer. */
  now(): number | undefined;
}

/** A date has no fractions of a second, and its answer was on the way for a while. */
const MAX_RESPONSE_DELAY_MS = 2_000;

export function createServerClock(monotonic = () => performance.now()): ServerClock {
  let ahead: number | undefined;
  return {
    hear(date) {
      if (date === undefined || Number.isNaN(date.getTime())) return;
      const heard = date.getTime() - monotonic();
      // Told late but never early, the latest is the nearest; much less is another time.
      if (ahead === undefined || heard > ahead || heard < ahead - MAX_RESPONSE_DELAY_MS)
        ahead = heard;
    },
    now: () => (ahead === undefined ? undefined : Math.round(ahead + monotonic())),
  };
}
