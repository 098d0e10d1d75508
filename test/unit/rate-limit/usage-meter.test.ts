import { describe, expect, it } from 'vitest';
import { createUsageMeter, type StepReservation } from '../../../shared/rate-limit/reservation.ts';

function usageOf(inputTokens: number, outputTokens: number) {
  return { inputTokens, outputTokens, totalTokens: inputTokens + outputTokens };
}

/** Records what is settled; the input of each step has 100 tokens. */
function setUp() {
  const settled: number[] = [];
  const step = (tokens = 5_100): StepReservation => ({
    tokens,
    inputTokens: 100,
    reservation: {
      settle: async (used) => void settled.push(used),
      refund: async () => void settled.push(0),
    },
  });
  return { settled, step, meter: createUsageMeter(step()) };
}

describe('createUsageMeter', () => {
  it('settles the usage of a complete run', () => {
    const { meter, settled } = setUp();

    meter.addUsage(usageOf(100, 50));
    meter.finish(usageOf(200, 121));
    void meter.settle();

    expect(settled).toEqual([321]);
  });

  it('settles nothing for a run that sent nothing to a model', () => {
    const { meter, settled } = setUp();

    void meter.settle();

    expect(settled).toEqual([0]);
  });

  it('T4: settles the input and the output so far of a call that is not complete', () => {
    const { meter, settled } = setUp();

    meter.addPartialUsage(usageOf(120, 6));
    void meter.settle();

    expect(settled).toEqual([126]);
  });

  it('T4: never settles less than the estimated input of a call that was sent', () => {
    const { meter, settled } = setUp();

    meter.addPartialUsage(usageOf(20, 0));
    void meter.settle();

    expect(settled).toEqual([100]);
  });

  it('T4: settles the steps before an incomplete call, and repeated calls', () => {
    const { meter, settled } = setUp();

    meter.addUsage(usageOf(100, 40));
    meter.addPartialUsage(usageOf(150, 10));
    meter.addPartialUsage(usageOf(150, 20));
    void meter.settle();

    expect(settled).toEqual([140 + 160 + 170]);
  });

  it('settles nothing for a cached response', () => {
    const { meter, settled } = setUp();

    meter.markCached();
    meter.finish(usageOf(300, 21));
    void meter.settle();

    expect(settled).toEqual([0]);
  });

  it('shares the usage among the reservations of the steps', () => {
    const { meter, settled, step } = setUp();

    meter.addStep(step(200));
    meter.addStep(step(200));
    meter.finish(usageOf(5_000, 650));
    void meter.settle();

    expect(settled).toEqual([5_100, 200, 350]);
  });
});
