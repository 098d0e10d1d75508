import { describe, expect, it } from 'vitest';
import { ServiceError, type ErrorCode } from '../../../../shared/errors.ts';
import { createConcurrencyLimiter } from '../../../../shared/batch/processing/concurrency-limiter.ts';
import { openAi, setUp, textOf, type BatchWorld } from '../../../support/batch/batch-world.ts';
import { jobOf, messages } from '../../../support/batch/jobs.ts';
import type { Script } from '../../../support/batch/scripted-agent.ts';

const MINUTE_MS = 60_000;

/** A world whose pace goes by the same time as its queue, and in which each question takes some. */
function setUpInTime(script: Script): BatchWorld {
  let now = (): number => 0;
  const pace = createConcurrencyLimiter({ max: 4, now: () => now() });
  const world = setUp(
    (asked) => {
      world.time.now += 5;
      return script(asked);
    },
    { pace },
  );
  now = () => world.time.now;
  return world;
}

async function turn(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}

describe('an item that is refused', () => {
  it('Q7: each time, while others are answered, ends as exhausted within minutes', async () => {
    const world = setUpInTime(async ({ message }) => {
      await turn();
      if (message !== 'm1') return 'ok';
      await turn();
      throw new ServiceError('upstream_unavailable', 'Away');
    });
    const startedAt = world.time.now;

    await world.processor.process(jobOf('job', messages(100)));
    await world.drain();

    const batch = await openAi(world, 'job');
    expect(batch).toMatchObject({
      status: 'completed',
      request_counts: { total: 100, completed: 99, failed: 1 },
    });
    expect(await textOf(world, batch.error_file_id)).toMatch(
      /"custom_id":"id-m1".*"exhausted".*failed 11 times, at last with upstream_unavailable/,
    );
    expect(world.agent.asked.filter((message) => message === 'm1')).toHaveLength(11);
    expect(world.time.now - startedAt).toBeLessThan(3 * MINUTE_MS);
  });

  it('Q7: for want of room each time ends as exhausted after an hour, not after a day', async () => {
    const world = setUpInTime(({ message }) => {
      if (message !== 'm1') return 'ok';
      throw new ServiceError('upstream_rate_limited', 'Larger than the limit');
    });
    const startedAt = world.time.now;

    await world.processor.process(jobOf('job', messages(3)));
    await world.drain();

    const minutes = (world.time.now - startedAt) / MINUTE_MS;
    expect((await openAi(world, 'job')).request_counts).toMatchObject({ completed: 2, failed: 1 });
    expect(minutes).toBeGreaterThan(30);
    expect(minutes).toBeLessThan(90);
  });

  it('begins from the start when its batch is retried', async () => {
    let isWell = false;
    const world = setUpInTime(() => {
      if (isWell) return 'ok';
      throw new ServiceError('upstream_rate_limited', 'No room');
    });
    await world.processor.process(jobOf('job', messages(1)));
    await world.drain();
    isWell = true;

    await world.desk.retryFailed('job', 'alice');
    await world.drain();

    expect((await openAi(world, 'job')).request_counts).toMatchObject({ completed: 1, failed: 0 });
  });
});

describe('an outage', () => {
  it('Q8: that follows want of room is counted by itself', async () => {
    let [noRoomUntil, awayUntil] = [0, 0];
    const world = setUpInTime(() => {
      if (world.time.now < noRoomUntil) throw new ServiceError('upstream_rate_limited', 'Full');
      if (world.time.now < awayUntil) throw new ServiceError('upstream_unavailable', 'Away');
      return 'ok';
    });
    noRoomUntil = world.time.now + 12 * MINUTE_MS;
    awayUntil = noRoomUntil + 5 * MINUTE_MS;

    await world.processor.process(jobOf('job', messages(1)));
    await world.drain();

    expect((await openAi(world, 'job')).request_counts).toMatchObject({ completed: 1, failed: 0 });
  });

  it('Q8: makes nobody suspect who failed for another reason before', async () => {
    let awayUntil = 0;
    const world = setUpInTime(({ call }) => {
      if (call === 1) throw new ServiceError('upstream_timeout', 'Late');
      if (world.time.now < awayUntil) throw new ServiceError('upstream_unavailable', 'Away');
      return 'ok';
    });
    awayUntil = world.time.now + 6 * MINUTE_MS;

    await world.processor.process(jobOf('job', messages(1)));
    await world.drain();

    expect((await openAi(world, 'job')).request_counts).toMatchObject({ completed: 1, failed: 0 });
  });

  it('Q8: is survived for three minutes by the two items that it cut off', async () => {
    let awayUntil = 0;
    const world = setUpInTime(async ({ message, call }) => {
      await turn();
      if (message === 'm0') return 'ok';
      await turn();
      if (call === 1 || world.time.now < awayUntil) {
        throw new ServiceError('upstream_unavailable', 'Away');
      }
      return 'ok';
    });
    awayUntil = world.time.now + 3 * MINUTE_MS;

    await world.processor.process(jobOf('job', messages(3)));
    await world.drain();

    expect((await openAi(world, 'job')).request_counts).toMatchObject({ completed: 3, failed: 0 });
  });

  it('leaves room in the journal for what matters, however long it lasts', async () => {
    let endsAt = 0;
    const world = setUpInTime(() => {
      if (world.time.now >= endsAt) return 'ok';
      throw new ServiceError('upstream_rate_limited', 'Full');
    });
    endsAt = world.time.now + 5 * MINUTE_MS;
    const refusals = Array.from({ length: 9_995 }, (_, index) => ({
      type: 'refused' as const,
      index: index % 100,
      code: 'upstream_rate_limited',
      why: 'no room' as const,
    }));
    await world.processor.process(jobOf('job', messages(100)));
    world.store.write('job', refusals);

    await world.drain();

    const kept = world.store.entries('job').filter(({ type }) => type === 'refused');
    // Those that were under way when it was full may still come.
    expect(kept.length).toBeLessThanOrEqual(10_004);
    expect((await openAi(world, 'job')).request_counts).toMatchObject({ completed: 100 });
  });

  it.each<[ErrorCode, number, number]>([
    ['upstream_unavailable', 1, 8],
    ['upstream_unavailable', 20, 60],
    ['upstream_rate_limited', 1, 45],
    ['upstream_auth', 20, 120],
    ['upstream_quota', 20, 120],
  ])('Q8: of %s costs none of %i items anything in %i minutes', async (code, items, minutes) => {
    let endsAt = 0;
    const world = setUpInTime(() => {
      if (world.time.now >= endsAt) return 'ok';
      throw new ServiceError(code, 'Not now');
    });
    endsAt = world.time.now + minutes * MINUTE_MS;

    await world.processor.process(jobOf('job', messages(items)));
    await world.drain();

    expect(await openAi(world, 'job')).toMatchObject({
      status: 'completed',
      request_counts: { total: items, completed: items, failed: 0 },
    });
    expect(world.time.now - endsAt).toBeLessThan(MINUTE_MS);
    // One try every 15 s, and those that were under way when it began.
    expect(world.agent.asked.length).toBeLessThan(2 * items + minutes * 4 + 20);
  });
});
