import { describe, expect, it } from 'vitest';
import { createUsageMeter } from '../../../shared/http/run-scope.ts';

/** An account whose question is 100 tokens long. */
function open() {
  const settled: number[] = [];
  const size = { texts: ['x'.repeat(384)], maxOutputTokens: 5_000 };
  const account = createUsageMeter(
    {
      settle: async (tokens) => void settled.push(tokens),
      refund: async () => void settled.push(0),
    },
    size,
  );
  return { account, settled };
}

describe('openTokenAccount', () => {
  it('settles what the answer has cost', () => {
    const { account, settled } = open();

    account.passOn('some text');
    account.finish(321);
    account.settle();

    expect(settled).toEqual([321]);
  });

  it('settles nothing for a call that failed before its first word', () => {
    const { account, settled } = open();

    account.settle();

    expect(settled).toEqual([0]);
  });

  it('settles the question and what went out when the rest is missing', () => {
    const { account, settled } = open();

    account.passOn('twelve chars');
    account.passOn('twelve chars');
    account.settle();

    expect(settled).toEqual([100 + 6]);
  });

  it('settles nothing for an answer that somebody else has paid for, whole or not', () => {
    const [left, whole] = [open(), open()];

    left.account.isFree();
    left.account.passOn('text');
    left.account.settle();
    whole.account.isFree();
    whole.account.finish(321);
    whole.account.settle();

    expect([...left.settled, ...whole.settled]).toEqual([0, 0]);
  });
});
