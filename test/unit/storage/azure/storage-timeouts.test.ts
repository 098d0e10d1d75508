import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { createStorageCallTimer } from '../../../../shared/storage/azure/storage-timeouts.ts';

const LIMIT_MS = 1_000;

function setUp() {
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
  return createStorageCallTimer(LIMIT_MS);
}

const never = <T>(): Promise<T> => new Promise(() => undefined);
const SILENCE = { code: 'storage_unavailable', cause: { name: 'StorageTimeoutError' } };

async function* sourceOf(pieces: readonly string[], end: Promise<unknown>): AsyncGenerator<string> {
  yield* pieces;
  await end;
}

describe('the timer of storage calls', () => {
  it('ends a call without a response and aborts it in the client library', async () => {
    const watch = setUp();

    const answer = expect(watch.call(never())).rejects.toMatchObject(SILENCE);
    await vi.advanceTimersByTimeAsync(LIMIT_MS);

    await answer;
    expect(watch.signal.aborted).toBe(true);
  });

  it('leaves no timer', async () => {
    const watch = setUp();

    await watch.call(Promise.resolve('answered'));
    await Array.fromAsync(watch.download(sourceOf(['a'], Promise.resolve())));
    await watch.call(Array.fromAsync(watch.upload(sourceOf(['a'], Promise.resolve()))));

    expect(vi.getTimerCount()).toBe(0);
  });

  it('ends a stream that stalls, but not for a slow reader', async () => {
    const watch = setUp();
    const pieces = watch.download(sourceOf(['a', 'b'], never()));

    await pieces.next();
    await vi.advanceTimersByTimeAsync(10 * LIMIT_MS);
    const second = await pieces.next();
    const third = expect(pieces.next()).rejects.toMatchObject(SILENCE);
    await vi.advanceTimersByTimeAsync(LIMIT_MS);

    expect(second.value).toBe('b');
    await third;
  });

  it('ends the source when its reader stops', async () => {
    const watch = setUp();
    let ended = false;
    async function* source(): AsyncGenerator<string> {
      try {
        yield 'a';
        yield 'b';
      } finally {
        ended = true;
      }
    }

    for await (const _piece of watch.download(source())) break;

    expect(ended).toBe(true);
  });

  it('ends an upload that storage does not read, but not for a slow sender', async () => {
    const watch = setUp();
    const sender = Promise.withResolvers<void>();
    const content = watch.upload(sourceOf(['a'], sender.promise));
    async function upload(): Promise<void> {
      await content.next();
      await content.next();
      await never();
    }

    const uploading = expect(watch.call(upload())).rejects.toMatchObject(SILENCE);
    await vi.advanceTimersByTimeAsync(10 * LIMIT_MS);
    const whileSending = watch.signal.aborted;
    sender.resolve();
    await vi.advanceTimersByTimeAsync(LIMIT_MS);

    await uploading;
    expect(whileSending).toBe(false);
  });

  it('passes on errors of the sender', async () => {
    const watch = setUp();
    const mistake = new TypeError('The form must end');
    const content = watch.upload(sourceOf(['a'], Promise.reject(mistake)));

    await expect(watch.call(Array.fromAsync(content))).rejects.toBe(mistake);
  });
});
