import { describe, expect, it } from 'vitest';
import { createOpenCalls, type OpenCallLimits } from '../../../shared/rate-limit/open-calls.ts';

const LIMITS: OpenCallLimits = {
  maxPerCaller: 2,
  maxTotal: 4,
  maxQueued: 32,
  queueTimeoutMs: 60_000,
};
const forever = new AbortController().signal;

function setUp(limits: Partial<OpenCallLimits> = {}) {
  const calls = createOpenCalls({ ...LIMITS, ...limits });
  const order: string[] = [];
  const releases = new Map<string, (() => void)[]>();

  /** Acquires that many slots without waiting for them, and records the caller of each granted one. */
  function open(caller: string, count = 1): Promise<void>[] {
    return Array.from({ length: count }, async () => {
      const release = await calls.acquire(caller, forever);
      order.push(caller);
      releases.set(caller, [...(releases.get(caller) ?? []), release]);
    });
  }
  async function close(caller: string): Promise<void> {
    releases.get(caller)?.shift()?.();
    await new Promise(setImmediate);
  }
  return { calls, order, open, close };
}

describe('createOpenCalls', () => {
  it('opens calls of a caller up to its limit, and more as those end', async () => {
    const { order, open, close } = setUp();

    void open('a', 4);
    await new Promise(setImmediate);
    const before = [...order];
    await close('a');
    await close('a');

    expect(before).toEqual(['a', 'a']);
    expect(order).toEqual(['a', 'a', 'a', 'a']);
  });

  it('serves callers in turn when the instance is full', async () => {
    const { order, open, close } = setUp({ maxPerCaller: 3, maxTotal: 3 });
    await Promise.all(open('holder', 3));

    void open('greedy', 3);
    void open('modest', 1);
    for (let closed = 0; closed < 3; closed += 1) await close('holder');

    expect(order.slice(3)).toEqual(['greedy', 'modest', 'greedy']);
  });

  it('does not delay others for a caller at its limit', async () => {
    const { order, open, close } = setUp();
    await Promise.all(open('greedy', 2));
    void open('greedy', 4);
    await Promise.all(open('b', 2));

    const opened = Promise.all(open('modest', 1));
    await close('b');
    await opened;

    expect(order).toEqual(['greedy', 'greedy', 'b', 'b', 'modest']);
  });

  it('refuses a caller beyond its share of the queue, and others not', async () => {
    const { open } = setUp({ maxQueued: 8 });
    await Promise.all(open('greedy', 2));
    void open('greedy', 2);

    const refused = open('greedy', 1)[0];
    const opened = open('modest', 1)[0];

    await expect(refused).rejects.toMatchObject({
      code: 'rate_limited',
      retryAfterSeconds: 1,
      message: expect.stringContaining('at most 2'),
    });
    await opened;
  });

  it('refuses every caller when the queue of the instance is full', async () => {
    const { open } = setUp({ maxPerCaller: 1, maxTotal: 1, maxQueued: 8 });
    await Promise.all(open('holder'));
    for (let caller = 0; caller < 8; caller += 1) void open(`waiting-${caller}`);

    await expect(open('late')[0]).rejects.toMatchObject({ code: 'overloaded' });
  });

  it('refuses a call that waited too long and frees its place', async () => {
    const { calls, order, open, close } = setUp({ queueTimeoutMs: 5, maxPerCaller: 1 });
    await Promise.all(open('a'));

    await expect(calls.acquire('a', forever)).rejects.toMatchObject({ code: 'rate_limited' });
    await close('a');
    await Promise.all(open('a'));

    expect(order).toEqual(['a', 'a']);
  });

  it('ends the wait of a client that disconnected', async () => {
    const { calls, order, open, close } = setUp({ maxPerCaller: 1 });
    const client = new AbortController();
    const reason = new Error('disconnected');
    await Promise.all(open('a'));

    const waiting = calls.acquire('a', client.signal);
    client.abort(reason);
    await expect(waiting).rejects.toBe(reason);
    const next = Promise.all(open('a'));
    await close('a');
    await next;

    expect(order).toEqual(['a', 'a']);
  });

  it('counts a slot once, however often it is released', async () => {
    const { calls, order, open } = setUp({ maxPerCaller: 1 });
    const release = await calls.acquire('a', forever);

    release();
    release();
    await Promise.all(open('a'));
    void open('a');
    await new Promise(setImmediate);

    expect(order).toEqual(['a']);
  });

  it('has no limit of a caller at 0', async () => {
    const { order, open } = setUp({ maxPerCaller: 0, maxTotal: 100 });

    await Promise.all(open('a', 100));

    expect(order).toHaveLength(100);
  });
});
