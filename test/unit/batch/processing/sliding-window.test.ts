import { describe, expect, it } from 'vitest';
import { slidingWindow } from '../../../../shared/batch/processing/sliding-window.ts';

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('slidingWindow', () => {
  it('lets a slow task delay no other', async () => {
    const straggler = Promise.withResolvers<void>();
    const ended: number[] = [];

    const walk = slidingWindow([0, 1, 2, 3, 4, 5], {
      width: 2,
      isClosed: () => false,
      run: async (task) => {
        await (task === 0 ? straggler.promise : turn());
        ended.push(task);
        // The last of the others ends the slow task.
        if (task === 5) straggler.resolve();
      },
    });

    await walk;
    expect(ended).toEqual([1, 2, 3, 4, 5, 0]);
  });

  it('runs as many tasks at once as its limit, never more', async () => {
    let running = 0;
    const counts: number[] = [];

    await slidingWindow(Array(20).keys(), {
      width: 3,
      isClosed: () => false,
      run: async () => {
        running += 1;
        counts.push(running);
        await turn();
        running -= 1;
      },
    });

    expect(counts).toHaveLength(20);
    expect(Math.max(...counts)).toBe(3);
  });

  it('takes no further task once it is closed, and waits for those that run', async () => {
    const ended: number[] = [];

    await slidingWindow([0, 1, 2, 3, 4], {
      width: 2,
      isClosed: () => ended.length > 0,
      run: async (task) => {
        await turn();
        ended.push(task);
      },
    });

    expect(ended).toEqual([0, 1]);
  });

  it('takes no further task after a failure, and rejects when all that was started has ended', async () => {
    const started: number[] = [];
    const ended: number[] = [];

    const walk = slidingWindow([0, 1, 2, 3], {
      width: 2,
      isClosed: () => false,
      run: async (task) => {
        started.push(task);
        if (task === 0) throw new Error('first');
        await turn();
        ended.push(task);
        throw new Error('second');
      },
    });

    await expect(walk).rejects.toThrow('first');
    expect({ started, ended }).toEqual({ started: [0, 1], ended: [1] });
  });

  it('resolves at once without tasks', async () => {
    const walk = slidingWindow([], { width: 4, isClosed: () => false, run: () => turn() });

    await expect(walk).resolves.toBeUndefined();
  });
});
