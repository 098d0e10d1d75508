import { storageFailure } from './storage-errors.ts';
import { unlessAborted } from '../../resilience/waiting.ts';

/** Thrown in the place of an answer that did not come. */
class StorageSilentError extends Error {
  readonly code = 'silent';

  constructor(callMs: number) {
    super(`Storage did not answer within ${callMs} ms`);
    this.name = 'StorageSilentError';
  }
}

/**
 * Watches over one use of storage. The client library asks the server to be quick and waits for
 * ever when nobody is there; here the waiting ends, and what goes wrong becomes a failure of ours.
 * The time that callers take between two pieces does not count.
 */
export interface StorageWatch {
  /** Aborts when storage was silent for too long. To be handed to the client library. */
  readonly signal: AbortSignal;
  /** One call and its whole answer. */
  answer<T>(call: Promise<T>): Promise<T>;
  /** What storage sends piece by piece. */
  pieces<T>(source: AsyncIterable<T>): AsyncGenerator<T, void, void>;
  /** What storage takes piece by piece: it has the turn whenever it does not ask for the next. */
  taken<T>(content: AsyncIterable<T>): AsyncGenerator<T, void, void>;
}

export function watchStorage(callMs: number): StorageWatch {
  const silent = new AbortController();
  const { signal } = silent;
  let timer: NodeJS.Timeout | undefined;

  function stop(): void {
    clearTimeout(timer);
  }
  function start(): void {
    stop();
    timer = setTimeout(() => silent.abort(new StorageSilentError(callMs)), callMs);
  }

  async function answer<T>(call: Promise<T>): Promise<T> {
    start();
    try {
      return await unlessAborted(call, signal);
    } catch (error) {
      throw storageFailure(signal.aborted ? signal.reason : error);
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
