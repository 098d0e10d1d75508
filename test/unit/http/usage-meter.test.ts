import { describe, expect, it } from 'vitest';
import { createUsageMeter } from '../../../shared/http/run-scope.ts';

/** A meter whose input is 100 tokens long. */
function open() {
  const settled: number[] = [];
  const size = { texts: ['x'.repeat(384)], maxOutputTokens: 5_000 };
  const meter = createUsageMeter(
    {
      settle: async (tokens) => void settled.push(tokens),
      refund: async () => void settled.push(0),
    },
    size,
  );
  return { meter, settled };
}

describe('createUsageMeter', () => {
  it('settles the usage of a complete run', () => {
    const { meter, settled } = open();

    meter.recordOutput('some text');
    meter.finish(321);
    meter.settle();

    expect(settled).toEqual([321]);
  });

  it('settles nothing for a run that failed before its first output', () => {
    const { meter, settled } = open();

    meter.settle();

    expect(settled).toEqual([0]);
  });

  it('settles the input and the output that was sent if the rest is missing', () => {
    const { meter, settled } = open();

    meter.recordOutput('twelve chars');
    meter.recordOutput('twelve chars');
    meter.settle();

    expect(settled).toEqual([100 + 6]);
  });

  it('settles nothing for a cached response, complete or not', () => {
    const [cutOff, complete] = [open(), open()];

    cutOff.meter.markCached();
    cutOff.meter.recordOutput('text');
    cutOff.meter.settle();
    complete.meter.markCached();
    complete.meter.finish(321);
    complete.meter.settle();

    expect([...cutOff.settled, ...complete.settled]).toEqual([0, 0]);
  });
});
