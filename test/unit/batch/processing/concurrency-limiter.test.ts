import { describe, expect, it } from 'vitest';
import {
  createConcurrencyLimiters,
  type ConcurrencyLimiter,
  type ConcurrencyPermit,
} from '../../../../shared/batch/processing/concurrency-limiter.ts';

const never = new AbortController().signal;

function setUp(max: number) {
  const time = { now: 0 };
  const limiters = createConcurrencyLimiters({ max, firstPauseMs: 1_000, now: () => time.now });
  const limiter = limiters.forBatch('batch');
  return { limiters, limiter, time };
}

async function take(limiter: ConcurrencyLimiter): Promise<ConcurrencyPermit> {
  const permit = await limiter.acquire(never);
  if (permit === undefined) throw new Error('The limiter is blocked');
  return permit;
}

/** The number of permits at once; all are released again. */
async function width(limiter: ConcurrencyLimiter): Promise<number> {
  const over = new AbortController();
  const entering = Array.from({ length: 20 }, () => limiter.acquire(over.signal));
  await new Promise((resolve) => setImmediate(resolve));
  over.abort();
  const tickets = (await Promise.all(entering)).filter((permit) => permit !== undefined);
  for (const permit of tickets) permit.release();
  return tickets.length;
}

describe('createConcurrencyLimiters', () => {
  it('grants as many permits as its limit, and the next at a release', async () => {
    const { limiter } = setUp(2);
    const [first] = [await take(limiter), await take(limiter)];
    let entered = false;
    const third = limiter.acquire(never).then((permit) => {
      entered = permit !== undefined;
    });
    await new Promise((resolve) => setImmediate(resolve));
    const before = entered;

    first.release();
    await third;

    expect([before, entered]).toEqual([false, true]);
  });

  it('halves once for attempts that were throttled together, and grows with successes', async () => {
    const { limiter, time } = setUp(8);
    const burst = await Promise.all(Array.from({ length: 8 }, () => take(limiter)));
    time.now = 10;

    for (const permit of burst) permit.throttled(undefined);
    for (const permit of burst) permit.release();

    expect(await width(limiter)).toBe(4);
    time.now = 20;
    const later = await take(limiter);
    later.succeeded();
    later.release();
    expect(await width(limiter)).toBe(5);
  });

  it('pauses when no call succeeded since the last decrease, longer each time', async () => {
    const { limiter, time } = setUp(8);
    const waits: number[] = [];
    for (let round = 1; round <= 8; round += 1) {
      time.now += limiter.pausedMs() + 1;
      const permit = await take(limiter);
      time.now += 1;
      permit.throttled(undefined);
      permit.release();
      waits.push(limiter.pausedMs());
    }

    expect(waits).toEqual([0, 1_000, 2_000, 4_000, 8_000, 15_000, 15_000, 15_000]);
  });

  it('pauses at once for as long as the model requests, and cancels waiting attempts', async () => {
    const { limiter, time } = setUp(1);
    const permit = await take(limiter);
    const waiting = limiter.acquire(never);
    time.now = 5;

    permit.throttled(30);

    expect(await waiting).toBeUndefined();
    expect(limiter.pausedMs()).toBe(30_000);
    time.now += 30_000;
    permit.release();
    expect(await width(limiter)).toBe(1);
  });

  it('begins with one attempt after a pause, whatever earlier calls return', async () => {
    const { limiter, time } = setUp(8);
    const [refused, ...others] = await Promise.all(Array.from({ length: 8 }, () => take(limiter)));
    time.now = 10;
    refused?.throttled(1);
    for (const permit of others) permit.succeeded();
    for (const permit of [refused, ...others]) permit?.release();

    time.now += limiter.pausedMs();

    expect(await width(limiter)).toBe(1);
  });

  it('halves the number of active calls if it is below the limit', async () => {
    const { limiter, time } = setUp(100);
    const burst = await Promise.all(Array.from({ length: 8 }, () => take(limiter)));
    time.now = 10;

    burst[0]?.throttled(undefined);
    for (const permit of burst) permit.release();

    expect(await width(limiter)).toBe(4);
  });

  it('distinguishes one throttled attempt from throttling of all', async () => {
    const { limiter, time } = setUp(8);
    const unlucky = await take(limiter);
    const lucky = await take(limiter);
    time.now = 5;
    lucky.succeeded();
    lucky.release();

    const first = unlucky.throttled(undefined);
    unlucky.release();
    const second = (await take(limiter)).throttled(undefined);

    expect([first, second]).toEqual(['item', 'global']);
  });

  it('gives no permit to a waiter that has aborted', async () => {
    const { limiter } = setUp(1);
    await take(limiter);
    const gone = new AbortController();
    const waiting = limiter.acquire(gone.signal);

    gone.abort();

    expect(await waiting).toBeUndefined();
  });
});

describe('the limiters of two batches', () => {
  it('T9: a throttled one pauses alone', async () => {
    const { limiters, time } = setUp(8);
    const [refused, other] = [limiters.forBatch('refused'), limiters.forBatch('other')];
    for (let round = 0; round < 5; round += 1) {
      time.now += refused.pausedMs() + 1;
      const permit = await take(refused);
      time.now += 1;
      permit.throttled(60);
      permit.release();
    }

    expect(refused.pausedMs()).toBe(60_000);
    expect(other.pausedMs()).toBe(0);
    expect(await width(other)).toBe(8);
  });

  it.each(['its batch', 'one of its many batches'])(
    'T8: share the slots in turn, by the owner of %s',
    async (what) => {
      const { limiters } = setUp(4);
      let batches = 0;
      const limiterOf = (owner: string) =>
        limiters.forBatch(what === 'its batch' ? owner : `batch-${(batches += 1)}`, owner);
      const running = await Promise.all(
        ['first', 'first', 'large', 'large'].map((name) => take(limiterOf(name))),
      );
      const order: string[] = [];
      for (const name of ['large', 'large', 'small']) {
        void limiterOf(name)
          .acquire(never)
          .then(() => order.push(name));
      }

      for (const permit of running.slice(0, 3)) {
        permit.release();
        await new Promise((resolve) => setImmediate(resolve));
      }

      expect(order).toEqual(['large', 'small', 'large']);
    },
  );
});
