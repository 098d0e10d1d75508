import { describe, expect, it } from 'vitest';
import { createRetryBudget } from '../../../shared/resilience/retry-policy.ts';

function createScene(ratio = 0.2) {
  let now = 0;
  const budget = createRetryBudget({ ratio, clock: { now: () => now } });
  return { budget, pass: (ms: number) => (now += ms) };
}

describe('retry budget', () => {
  it('keeps retries to a fifth of a steady stream of calls, beyond what was saved up', () => {
    const { budget, pass } = createScene();
    let granted = 0;

    for (let i = 0; i < 1_200; i += 1) {
      pass(50);
      budget.deposit();
      if (budget.withdraw()) granted += 1;
    }

    expect(granted).toBeGreaterThan(230);
    expect(granted).toBeLessThanOrEqual(250);
  });

  it('allows two retries of a single call seconds after it was emptied', () => {
    const { budget, pass } = createScene();
    budget.deposit();
    while (budget.withdraw());

    pass(5_000);
    budget.deposit();

    expect([budget.withdraw(), budget.withdraw(), budget.withdraw()]).toEqual([true, true, false]);
  });

  it('saves up at most a few retries, however long it was idle', () => {
    const { budget, pass } = createScene();
    let granted = 0;

    pass(86_400_000);
    budget.deposit();
    while (budget.withdraw()) granted += 1;

    expect(granted).toBe(10);
  });

  it('is not filled by a clock that is set back', () => {
    const { budget, pass } = createScene();
    while (budget.withdraw());

    pass(-600_000);
    budget.deposit();

    expect(budget.withdraw()).toBe(false);
  });

  it('grants nothing at a ratio of 0', () => {
    const { budget, pass } = createScene(0);
    pass(60_000);

    budget.deposit();

    expect(budget.withdraw()).toBe(false);
  });
});
