import { describe, expect, it } from 'vitest';
import { createRecentRate } from '../../../dev/batch/recent-rate.ts';

/** The rate at the end, after a look in each second. */
function rateOf(doneInSecond: (second: number) => number, seconds: number): number | undefined {
  const rate = createRecentRate();
  let last: number | undefined;
  for (let second = 0; second <= seconds; second += 1) {
    last = rate.update(doneInSecond(second), second * 1_000);
  }
  return last;
}

describe('the recent rate', () => {
  it('is that of a steady batch, soon and later', () => {
    expect(rateOf((second) => second * 4, 3)).toBeCloseTo(4);
    expect(rateOf((second) => second * 4, 300)).toBeCloseTo(4);
  });

  it('does not count what an earlier run has done', () => {
    expect(rateOf(() => 5_000, 0)).toBeUndefined();
    expect(rateOf((second) => 5_000 + second * 2, 10)).toBeCloseTo(2);
  });

  it('forgets how fast it was before a stall', () => {
    const stalled = (second: number): number => Math.min(second, 60) * 100;

    expect(rateOf(stalled, 60)).toBeCloseTo(100);
    expect(rateOf(stalled, 90)).toBeUndefined();
  });

  it('does not count the length of a stall once that is over', () => {
    const again = (second: number): number => Math.min(second, 60) + Math.max(0, second - 600) * 3;

    expect(rateOf(again, 610)).toBeCloseTo(2);
    expect(rateOf(again, 630)).toBeCloseTo(3);
  });

  it('is what there was in the window where results come seldom', () => {
    expect(rateOf((second) => Math.floor(second / 10), 100)).toBeCloseTo(2 / 15, 1);
  });
});
