import { getEventListeners } from 'node:events';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { abortReason, raceAbort, delay } from '../../../shared/resilience/abort.ts';

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

describe('delay', () => {
  it('resolves after its time and leaves no listener', async () => {
    const { signal } = new AbortController();
    let isOver = false;
    const waiting = delay(1_000, signal).then(() => (isOver = true));

    await vi.advanceTimersByTimeAsync(999);
    expect(isOver).toBe(false);
    await vi.advanceTimersByTimeAsync(1);
    await waiting;

    expect(getEventListeners(signal, 'abort')).toHaveLength(0);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('rejects at once with the reason of the abort and leaves no timer', async () => {
    const caller = new AbortController();
    const waiting = delay(60_000, caller.signal);

    caller.abort(new Error('client gone'));

    await expect(waiting).rejects.toThrow('client gone');
    expect(vi.getTimerCount()).toBe(0);
  });

  it('rejects at once if the signal is aborted already', async () => {
    const waiting = delay(60_000, AbortSignal.abort(new Error('client gone')));

    await expect(waiting).rejects.toThrow('client gone');
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe('raceAbort', () => {
  it('settles as the work does and leaves no listener', async () => {
    const { signal } = new AbortController();

    await expect(raceAbort(Promise.resolve(7), signal)).resolves.toBe(7);
    await expect(raceAbort(Promise.reject(new Error('no')), signal)).rejects.toThrow('no');

    expect(getEventListeners(signal, 'abort')).toHaveLength(0);
  });

  it('does not wait for work after the abort', async () => {
    const caller = new AbortController();
    const outcome = raceAbort(new Promise(() => undefined), caller.signal);

    caller.abort(new Error('client gone'));

    await expect(outcome).rejects.toThrow('client gone');
  });

  it('wraps a reason that is no error', () => {
    const reason = abortReason(AbortSignal.abort('just text'));

    expect(reason).toBeInstanceOf(Error);
    expect(reason.cause).toBe('just text');
  });
});
