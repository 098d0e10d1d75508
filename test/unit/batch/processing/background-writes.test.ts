import { describe, expect, it } from 'vitest';
import { createWriteBehind } from '../../../../shared/batch/processing/sliding-window.ts';

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

function setUp(max: number) {
  const failures: unknown[] = [];
  const writes = createWriteBehind({ max, onFailure: (error) => failures.push(error) });
  return { writes, failures };
}

describe('createWriteBehind', () => {
  it('does not wait until too many writes are pending', async () => {
    const { writes } = setUp(1);
    const [first, second] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    let wentOn = 0;
    await writes.add(first.promise);

    const adding = writes.add(second.promise).then(() => (wentOn += 1));
    await turn();
    const before = wentOn;
    second.resolve();
    await adding;

    expect([before, wentOn]).toEqual([0, 1]);
    first.resolve();
    await writes.settled();
  });

  it('waits for each write where none may be pending', async () => {
    const { writes } = setUp(0);
    const write = Promise.withResolvers<void>();
    let isDone = false;

    const adding = writes.add(write.promise).then(() => (isDone = true));
    await turn();

    expect(isDone).toBe(false);
    write.resolve();
    await adding;
  });

  it('resolves when everything is written and rejects at the first failure', async () => {
    const { writes, failures } = setUp(9);
    const late = Promise.withResolvers<void>();
    const [one, two] = [new Error('one'), new Error('two')];
    await writes.add(late.promise);
    await writes.add(Promise.reject(one));
    await writes.add(Promise.reject(two));
    await turn();
    const toldBefore = [...failures];
    let isSettled = false;

    const settling = writes.settled().finally(() => (isSettled = true));
    settling.catch(() => undefined);
    await turn();
    const early = isSettled;
    late.resolve();

    await expect(settling).rejects.toBe(one);
    expect([toldBefore, early]).toEqual([[one], false]);
  });
});
