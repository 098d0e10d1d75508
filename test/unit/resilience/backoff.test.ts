import { describe, expect, it } from 'vitest';
import { backoffDelayMs, withJitter } from '../../../shared/resilience/retry-policy.ts';

describe('back-off', () => {
  it('doubles its ceiling up to the longest wait', () => {
    const options = { initialMs: 250, maxMs: 4_000, random: () => 1 };

    const ceilings = [0, 1, 2, 3, 4, 5, 50].map((retry) => backoffDelayMs(retry, options));

    expect(ceilings).toEqual([250, 500, 1_000, 2_000, 4_000, 4_000, 4_000]);
  });

  it('spreads over the whole range and never retries at once', () => {
    const options = { initialMs: 250, maxMs: 4_000 };

    const lowest = backoffDelayMs(0, { ...options, random: () => 0 });
    const middle = backoffDelayMs(0, { ...options, random: () => 0.5 });

    expect(lowest).toBe(25);
    expect(middle).toBeGreaterThan(lowest);
    expect(middle).toBeLessThan(250);
  });

  it('waits at least the requested time and not much longer', () => {
    expect(withJitter(700, () => 0)).toBeGreaterThan(700);
    expect(withJitter(700, () => 0.999)).toBeLessThan(850);
    expect(withJitter(12, () => 0.999)).toBeLessThan(25);
  });
});
