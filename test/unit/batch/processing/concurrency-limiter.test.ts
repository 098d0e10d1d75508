import { describe, expect, it } from 'vitest';
import {
  createConcurrencyLimiter,
  type ConcurrencyLimiter,
  type ConcurrencyPermit,
} from '../../../../shared/batch/processing/concurrency-limiter.ts';

const never = new AbortController().signal;

function setUp(max: number) {
  const time = { now: 0 };
  const pace = createConcurrencyLimiter({ max, firstBlockMs: 1_000, now: () => time.now });
  return { pace, time };
}

async function take(pace: ConcurrencyLimiter): Promise<ConcurrencyPermit> {
  const ticket = await pace.enter(never);
  if (ticket === undefined) throw new Error('The pace is blocked');
  return ticket;
}

/** How many get in at once; all of them leave again. */
async function width(pace: ConcurrencyLimiter): Promise<number> {
  const over = new AbortController();
  const entering = Array.from({ length: 20 }, () => pace.enter(over.signal));
  await new Promise((resolve) => setImmediate(resolve));
  over.abort();
  const tickets = (await Promise.all(entering)).filter((ticket) => ticket !== undefined);
  for (const ticket of tickets) ticket.leave();
  return tickets.length;
}

describe('createPace', () => {
  it('lets in as many as there are places, and the next when one leaves', async () => {
    const { pace } = setUp(2);
    const [first] = [await take(pace), await take(pace)];
    let entered = false;
    const third = pace.enter(never).then((ticket) => {
      entered = ticket !== undefined;
    });
    await new Promise((resolve) => setImmediate(resolve));
    const before = entered;

    first.leave();
    await third;

    expect([before, entered]).toEqual([false, true]);
  });

  it('halves once for all that were refused together, and grows again with answers', async () => {
    const { pace, time } = setUp(8);
    const burst = await Promise.all(Array.from({ length: 8 }, () => take(pace)));
    time.now = 10;

    for (const ticket of burst) ticket.throttled(undefined);
    for (const ticket of burst) ticket.leave();

    expect(await width(pace)).toBe(4);
    time.now = 20;
    const later = await take(pace);
    later.succeeded();
    later.leave();
    expect(await width(pace)).toBe(5);
  });

  it('blocks when nobody got through since it slowed down, longer each time', async () => {
    const { pace, time } = setUp(8);
    const waits: number[] = [];
    for (let round = 1; round <= 8; round += 1) {
      time.now += pace.blockedMs() + 1;
      const ticket = await take(pace);
      time.now += 1;
      ticket.throttled(undefined);
      ticket.leave();
      waits.push(pace.blockedMs());
    }

    expect(waits).toEqual([0, 1_000, 2_000, 4_000, 8_000, 15_000, 15_000, 15_000]);
  });

  it('blocks at once and as long as the model asks, and lets waiting ones go', async () => {
    const { pace, time } = setUp(1);
    const ticket = await take(pace);
    const waiting = pace.enter(never);
    time.now = 5;

    ticket.throttled(30);

    expect(await waiting).toBeUndefined();
    expect(pace.blockedMs()).toBe(30_000);
    time.now += 30_000;
    ticket.leave();
    expect(await width(pace)).toBe(1);
  });

  it('begins with one try after a block, whatever was answered of what was asked before', async () => {
    const { pace, time } = setUp(8);
    const [refused, ...others] = await Promise.all(Array.from({ length: 8 }, () => take(pace)));
    time.now = 10;
    refused?.throttled(1);
    for (const ticket of others) ticket.succeeded();
    for (const ticket of [refused, ...others]) ticket?.leave();

    time.now += pace.blockedMs();

    expect(await width(pace)).toBe(1);
  });

  it('halves what was asked, where that is less than it may ask', async () => {
    const { pace, time } = setUp(100);
    const burst = await Promise.all(Array.from({ length: 8 }, () => take(pace)));
    time.now = 10;

    burst[0]?.throttled(undefined);
    for (const ticket of burst) ticket.leave();

    expect(await width(pace)).toBe(4);
  });

  it('tells a refusal of one from a refusal of all', async () => {
    const { pace, time } = setUp(8);
    const unlucky = await take(pace);
    const lucky = await take(pace);
    time.now = 5;
    lucky.succeeded();
    lucky.leave();

    const first = unlucky.throttled(undefined);
    unlucky.leave();
    const second = (await take(pace)).throttled(undefined);

    expect([first, second]).toEqual(['alone', 'all']);
  });

  it('gives no place to whoever does not want it any more', async () => {
    const { pace } = setUp(1);
    await take(pace);
    const gone = new AbortController();
    const waiting = pace.enter(gone.signal);

    gone.abort();

    expect(await waiting).toBeUndefined();
  });
});
