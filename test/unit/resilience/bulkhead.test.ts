import { describe, expect, it } from 'vitest';
import { createBulkhead } from '../../../shared/resilience/bulkhead.ts';

const never = new AbortController().signal;

describe('bulkhead', () => {
  it('admits up to its limit, queues up to its line, and refuses the rest at once', async () => {
    const bulkhead = createBulkhead({ maxConcurrent: 2, maxQueued: 1 });

    const first = await bulkhead.acquire(never);
    const second = await bulkhead.acquire(never);
    const queued = bulkhead.acquire(never);
    const refused = await bulkhead.acquire(never);

    expect([first, second].every((leave) => leave !== undefined)).toBe(true);
    expect(refused).toBeUndefined();
    expect(bulkhead.hasRoom()).toBe(false);
    first?.();
    expect(await queued).toBeDefined();
  });

  it('gives slots to waiters in the order in which they came', async () => {
    const bulkhead = createBulkhead({ maxConcurrent: 1, maxQueued: 3 });
    const order: number[] = [];
    const leave = await bulkhead.acquire(never);
    const waiters = [1, 2, 3].map(async (number) => {
      const leaveNext = await bulkhead.acquire(never);
      order.push(number);
      leaveNext?.();
    });

    leave?.();
    await Promise.all(waiters);

    expect(order).toEqual([1, 2, 3]);
  });

  it('frees one slot however often a caller leaves', async () => {
    const bulkhead = createBulkhead({ maxConcurrent: 1, maxQueued: 0 });
    const leave = await bulkhead.acquire(never);

    leave?.();
    leave?.();
    await bulkhead.acquire(never);

    expect(await bulkhead.acquire(never)).toBeUndefined();
  });

  it('ends a wait with the reason of the signal and gives the place in line to others', async () => {
    const bulkhead = createBulkhead({ maxConcurrent: 1, maxQueued: 1 });
    const leave = await bulkhead.acquire(never);
    const caller = new AbortController();
    const waiting = bulkhead.acquire(caller.signal);
    expect(bulkhead.hasRoom()).toBe(false);

    caller.abort(new Error('client gone'));

    await expect(waiting).rejects.toThrow('client gone');
    expect(bulkhead.hasRoom()).toBe(true);
    leave?.();
    expect(await bulkhead.acquire(never)).toBeDefined();
  });

  it('lets nobody in whose signal has aborted already', async () => {
    const bulkhead = createBulkhead({ maxConcurrent: 1, maxQueued: 1 });

    const entering = bulkhead.acquire(AbortSignal.abort(new Error('too late')));

    await expect(entering).rejects.toThrow('too late');
    expect(await bulkhead.acquire(never)).toBeDefined();
  });
});
