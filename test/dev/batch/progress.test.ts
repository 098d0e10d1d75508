import { describe, expect, it } from 'vitest';
import {
  createProgress,
  describeProgress,
  renderBar,
  type ProgressState,
} from '../../../dev/batch/progress.ts';

describe('describeProgress', () => {
  it.each([
    [{ done: 0, total: 25 }, '0 of 25 (0 %)'],
    [{ done: 12, total: 25, perSecond: 6 }, '12 of 25 (48 %), 6.0/s, 3 s left'],
    [{ done: 10, total: 2_000, perSecond: 1 }, '10 of 2000 (0 %), 1.0/s, 33 min 10 s left'],
    [{ done: 1, total: 5_001, perSecond: 1 }, '1 of 5001 (0 %), 1.0/s, 1 h 23 min left'],
    [{ done: 8, failed: 2, total: 10, perSecond: 1 }, '8 of 10 (80 %), 2 failed, 1.0/s, 2 s left'],
    [{ done: 8, total: 10, perSecond: 1, note: 'nothing new' }, '8 of 10 (80 %), nothing new'],
    [{ done: 25, failed: 1, total: 25, perSecond: 5 }, '25 of 25 (100 %), 1 failed'],
    [{ done: 25, total: 25, note: 'fetching' }, '25 of 25 (100 %), fetching'],
  ])('describes %o', (state, text) => {
    expect(describeProgress(stateOf(state))).toBe(text);
  });
});

describe('renderBar', () => {
  it('is empty at the start, full only at the end, and of one width', () => {
    const bars = [0, 1, 999, 1_000].map((done) => renderBar({ done, total: 1_000 }));

    expect(bars[0]).toBe(`[${'.'.repeat(30)}]`);
    expect(bars[2]).toContain('.');
    expect(bars[3]).toBe(`[${'#'.repeat(30)}]`);
    expect(new Set(bars.map((bar) => bar.length)).size).toBe(1);
  });
});

describe('createProgress', () => {
  it('redraws one line on a terminal, no wider than it', () => {
    const terminal = capture({ isTTY: true, columns: 40 });
    const progress = createProgress(terminal);

    progress.show(stateOf({ done: 1, total: 4 }));
    progress.show(stateOf({ done: 2, total: 4, perSecond: 1_000_000 }));
    progress.finish();

    const drawn = terminal.written.map((text) => text.replace('\r\u001B[K', ''));
    expect(terminal.written[0]?.startsWith('\r')).toBe(true);
    expect(drawn.every((text) => text.length < 40)).toBe(true);
    expect(drawn.at(-1)).toBe('\n');
  });

  it('writes plain lines elsewhere, seldom, and the last one always', () => {
    const pipe = capture({ isTTY: false });
    const progress = createProgress(pipe);

    for (let done = 0; done <= 40; done += 1) {
      progress.show(stateOf({ done, total: 40, elapsedMs: done * 100 }));
    }
    progress.show(stateOf({ done: 40, total: 40, elapsedMs: 9_000 }));

    expect(pipe.written).toEqual(['0 of 40 (0 %)\n', '20 of 40 (50 %)\n', '40 of 40 (100 %)\n']);
  });

  it('says elsewhere at once what it waits for, and then now and again', () => {
    const pipe = capture({ isTTY: false });
    const progress = createProgress(pipe);

    for (let second = 0; second <= 60; second += 1) {
      const note = second < 5 ? undefined : `waiting ${second} s`;
      progress.show(stateOf({ done: 0, total: 4, elapsedMs: second * 1_000, note }));
    }

    expect(pipe.written).toEqual([
      '0 of 4 (0 %)\n',
      '0 of 4 (0 %), waiting 5 s\n',
      '0 of 4 (0 %), waiting 35 s\n',
    ]);
  });

  it('leaves no empty line where there was nothing to show', () => {
    const terminal = capture({ isTTY: true });

    createProgress(terminal).finish();

    expect(terminal.written).toEqual([]);
  });
});

function stateOf(state: Partial<ProgressState>): ProgressState {
  const empty = { done: 0, failed: 0, total: 0, elapsedMs: 0 };
  return { ...empty, perSecond: undefined, note: undefined, ...state };
}

function capture(shape: { isTTY: boolean; columns?: number }) {
  const written: string[] = [];
  return { ...shape, written, write: (text: string) => written.push(text) };
}
