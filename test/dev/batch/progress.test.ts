import { describe, expect, it } from 'vitest';
import { createProgress, describeProgress, renderBar } from '../../../dev/batch/progress.ts';

describe('describeProgress', () => {
  it.each([
    [{ done: 0, total: 25, elapsedMs: 500 }, '0 of 25 (0 %)'],
    [{ done: 12, total: 25, elapsedMs: 2_000 }, '12 of 25 (48 %), 6.0/s, 3 s left'],
    [{ done: 10, total: 2_000, elapsedMs: 10_000 }, '10 of 2000 (0 %), 1.0/s, 33 min 10 s left'],
    [{ done: 1, total: 5_001, elapsedMs: 1_000 }, '1 of 5001 (0 %), 1.0/s, 1 h 23 min left'],
    [{ done: 25, total: 25, elapsedMs: 5_000 }, '25 of 25 (100 %), 5.0/s'],
  ])('describes %o', (state, text) => {
    expect(describeProgress(state)).toBe(text);
  });
});

describe('renderBar', () => {
  it('is empty at the start, full only at the end, and of one width', () => {
    const bars = [0, 1, 999, 1_000].map((done) => renderBar({ done, total: 1_000, elapsedMs: 1 }));

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

    progress.show({ done: 1, total: 4, elapsedMs: 100 });
    progress.show({ done: 2, total: 4, elapsedMs: 200 });
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
      progress.show({ done, total: 40, elapsedMs: done * 100 });
    }
    progress.show({ done: 40, total: 40, elapsedMs: 9_000 });

    expect(pipe.written).toEqual([
      '0 of 40 (0 %)\n',
      '20 of 40 (50 %), 10.0/s, 2 s left\n',
      '40 of 40 (100 %), 10.0/s\n',
    ]);
  });
});

function capture(shape: { isTTY: boolean; columns?: number }) {
  const written: string[] = [];
  return { ...shape, written, write: (text: string) => written.push(text) };
}
