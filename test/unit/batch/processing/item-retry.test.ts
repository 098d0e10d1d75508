import { describe, expect, it } from 'vitest';
import { isDue, retryAt, secondsUntilDue } from '../../../../shared/batch/processing/item-retry.ts';

const now = Date.parse('2030-01-01T00:00:00Z');
const after = (seconds: number): number => now + seconds * 1_000;

describe('retryAt', () => {
  it('waits twice as long after each failure', () => {
    const times = [1, 2, 3, 4].map((failures) => retryAt(failures, { now }));

    expect(times).toEqual([after(5), after(10), after(20), after(40)]);
  });

  it('Q8: waits as long as the endpoint requested, where that is longer', () => {
    expect(retryAt(1, { now, retryAfterSeconds: 60 })).toBe(after(60));
    expect(retryAt(3, { now, retryAfterSeconds: 1 })).toBe(after(20));
  });

  it('waits five minutes at most', () => {
    expect(retryAt(1, { now, retryAfterSeconds: 86_400 })).toBe(after(300));
    expect(retryAt(30, { now })).toBe(after(300));
  });
});

describe('isDue', () => {
  it('is true for an item that never failed or is nearly due', () => {
    expect([undefined, after(-1), after(0), after(2)].map((time) => isDue(time, now))).toEqual(
      Array(4).fill(true),
    );
    expect([after(3), after(300)].map((time) => isDue(time, now))).toEqual([false, false]);
  });

  it('Q10: ignores a time that only a wrong clock can have written', () => {
    expect(isDue(after(600), now)).toBe(true);
  });
});

describe('secondsUntilDue', () => {
  it('is the time until the first of them, rounded up', () => {
    expect(secondsUntilDue([after(40), after(7.2), after(300)], now)).toBe(8);
  });

  it('is 0 when one of them is due or there are none', () => {
    expect(secondsUntilDue([after(40), undefined], now)).toBe(0);
    expect(secondsUntilDue([], now)).toBe(0);
  });
});
