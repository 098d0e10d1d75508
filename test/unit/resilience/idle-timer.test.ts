import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createIdleTimer } from '../../../shared/resilience/abort.ts';

beforeEach(() => {
  vi.useFakeTimers();
});

afterEach(() => {
  vi.useRealTimers();
});

describe('an idle timer', () => {
  it('times out once without progress for the whole time', () => {
    const bite = vi.fn();
    const watchdog = createIdleTimer(bite);
    watchdog.start(1_000);

    vi.advanceTimersByTime(999);
    expect(bite).not.toHaveBeenCalled();
    vi.advanceTimersByTime(5_000);

    expect(bite).toHaveBeenCalledTimes(1);
    expect(watchdog.timedOut()).toBe(true);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('waits the whole time anew after each progress', () => {
    const bite = vi.fn();
    const watchdog = createIdleTimer(bite);

    for (let i = 0; i < 20; i += 1) {
      watchdog.start(1_000);
      vi.advanceTimersByTime(900);
      watchdog.pause();
    }
    watchdog.start(1_000);
    vi.advanceTimersByTime(999);

    expect(bite).not.toHaveBeenCalled();
    vi.advanceTimersByTime(2);
    expect(bite).toHaveBeenCalledTimes(1);
  });

  it('does not count the time between a pause and the next start', () => {
    const bite = vi.fn();
    const watchdog = createIdleTimer(bite);
    watchdog.start(1_000);
    watchdog.pause();

    vi.advanceTimersByTime(60_000);
    watchdog.start(1_000);
    vi.advanceTimersByTime(999);

    expect(bite).not.toHaveBeenCalled();
  });

  it('applies a limit that is shorter than the one before', () => {
    const bite = vi.fn();
    const watchdog = createIdleTimer(bite);
    watchdog.start(20_000);
    watchdog.start(100);

    vi.advanceTimersByTime(101);

    expect(bite).toHaveBeenCalledTimes(1);
  });

  it('uses one timer for a thousand tokens', () => {
    const schedule = vi.spyOn(globalThis, 'setTimeout');
    const watchdog = createIdleTimer(() => undefined);

    for (let i = 0; i < 1_000; i += 1) {
      watchdog.start(10_000);
      watchdog.pause();
    }

    expect(schedule).toHaveBeenCalledTimes(1);
    watchdog.dispose();
    expect(vi.getTimerCount()).toBe(0);
    schedule.mockRestore();
  });
});
