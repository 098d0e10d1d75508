import { describe, expect, it } from 'vitest';
import { ServiceError, type ErrorCode } from '../../../../shared/errors.ts';
import { createConcurrencyLimiters } from '../../../../shared/batch/processing/concurrency-limiter.ts';
import {
  OWNER,
  openAi,
  setUp,
  textOf,
  type BatchEnvironment,
} from '../../../support/batch/batch-environment.ts';
import { jobOf, messages } from '../../../support/batch/jobs.ts';
import type { Script } from '../../../support/batch/scripted-agent.ts';

const MINUTE_MS = 60_000;

/** An environment whose limiter and queue share a clock, and in which each call takes time. */
function setUpInTime(script: Script): BatchEnvironment {
  let now = (): number => 0;
  const limiter = createConcurrencyLimiters({ max: 4, now: () => now() });
  const environment = setUp(
    (asked) => {
      environment.time.now += 5;
      return script(asked);
    },
    { limiters: limiter },
  );
  now = () => environment.time.now;
  return environment;
}

async function turn(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}

describe('an item that is throttled', () => {
  it('Q7: each time while others succeed is exhausted within minutes', async () => {
    const environment = setUpInTime(async ({ message }) => {
      await turn();
      if (message !== 'm1') return 'ok';
      await turn();
      throw new ServiceError('upstream_unavailable', 'Away');
    });
    const startedAt = environment.time.now;

    await environment.processor.process(jobOf('job', messages(100)));
    await environment.drain();

    const batch = await openAi(environment, 'job');
    expect(batch).toMatchObject({
      status: 'completed',
      request_counts: { total: 100, completed: 99, failed: 1 },
    });
    expect(await textOf(environment, batch.error_file_id)).toMatch(
      /"custom_id":"id-m1".*"exhausted".*failed 11 times, at last with upstream_unavailable/,
    );
    expect(environment.agent.asked.filter((message) => message === 'm1')).toHaveLength(11);
    expect(environment.time.now - startedAt).toBeLessThan(3 * MINUTE_MS);
  });

  it('Q7: for lack of capacity each time is exhausted after an hour, not after a day', async () => {
    const environment = setUpInTime(({ message }) => {
      if (message !== 'm1') return 'ok';
      throw new ServiceError('upstream_rate_limited', 'Larger than the limit');
    });
    const startedAt = environment.time.now;

    await environment.processor.process(jobOf('job', messages(3)));
    await environment.drain();

    const minutes = (environment.time.now - startedAt) / MINUTE_MS;
    expect((await openAi(environment, 'job')).request_counts).toMatchObject({
      completed: 2,
      failed: 1,
    });
    expect(minutes).toBeGreaterThan(30);
    expect(minutes).toBeLessThan(90);
  });

  it('starts again when its batch is retried', async () => {
    let isWell = false;
    const environment = setUpInTime(() => {
      if (isWell) return 'ok';
      throw new ServiceError('upstream_rate_limited', 'No room');
    });
    await environment.processor.process(jobOf('job', messages(1)));
    await environment.drain();
    isWell = true;

    await environment.batches.retryFailed('job', OWNER);
    await environment.drain();

    expect((await openAi(environment, 'job')).request_counts).toMatchObject({
      completed: 1,
      failed: 0,
    });
  });
});

describe('an outage', () => {
  it('Q8: after lack of capacity has its own count', async () => {
    let [noRoomUntil, awayUntil] = [0, 0];
    const environment = setUpInTime(() => {
      if (environment.time.now < noRoomUntil)
        throw new ServiceError('upstream_rate_limited', 'Full');
      if (environment.time.now < awayUntil) throw new ServiceError('upstream_unavailable', 'Away');
      return 'ok';
    });
    noRoomUntil = environment.time.now + 12 * MINUTE_MS;
    awayUntil = noRoomUntil + 5 * MINUTE_MS;

    await environment.processor.process(jobOf('job', messages(1)));
    await environment.drain();

    expect((await openAi(environment, 'job')).request_counts).toMatchObject({
      completed: 1,
      failed: 0,
    });
  });

  it('Q8: does not count against an item that failed for another reason before', async () => {
    let awayUntil = 0;
    const environment = setUpInTime(({ call }) => {
      if (call === 1) throw new ServiceError('upstream_timeout', 'Late');
      if (environment.time.now < awayUntil) throw new ServiceError('upstream_unavailable', 'Away');
      return 'ok';
    });
    awayUntil = environment.time.now + 6 * MINUTE_MS;

    await environment.processor.process(jobOf('job', messages(1)));
    await environment.drain();

    expect((await openAi(environment, 'job')).request_counts).toMatchObject({
      completed: 1,
      failed: 0,
    });
  });

  it('Q8: of three minutes does not exhaust the two items that it interrupted', async () => {
    let awayUntil = 0;
    const environment = setUpInTime(async ({ message, call }) => {
      await turn();
      if (message === 'm0') return 'ok';
      await turn();
      if (call === 1 || environment.time.now < awayUntil) {
        throw new ServiceError('upstream_unavailable', 'Away');
      }
      return 'ok';
    });
    awayUntil = environment.time.now + 3 * MINUTE_MS;

    await environment.processor.process(jobOf('job', messages(3)));
    await environment.drain();

    expect((await openAi(environment, 'job')).request_counts).toMatchObject({
      completed: 3,
      failed: 0,
    });
  });

  it('leaves space for results in the journal, however long it lasts', async () => {
    let endsAt = 0;
    const environment = setUpInTime(() => {
      if (environment.time.now >= endsAt) return 'ok';
      throw new ServiceError('upstream_rate_limited', 'Full');
    });
    endsAt = environment.time.now + 5 * MINUTE_MS;
    const throttles = Array.from({ length: 9_995 }, (_, index) => ({
      type: 'throttled' as const,
      index: index % 100,
      code: 'upstream_rate_limited',
      reason: 'capacity' as const,
    }));
    await environment.processor.process(jobOf('job', messages(100)));
    environment.store.write('job', throttles);

    await environment.drain();

    const kept = environment.store.entries('job').filter(({ type }) => type === 'throttled');
    // Those that were running when it was full may still arrive.
    expect(kept.length).toBeLessThanOrEqual(10_004);
    expect((await openAi(environment, 'job')).request_counts).toMatchObject({ completed: 100 });
  });

  it.each<[ErrorCode, number, number]>([
    ['upstream_unavailable', 1, 8],
    ['upstream_unavailable', 20, 60],
    ['upstream_rate_limited', 1, 45],
    ['upstream_auth', 20, 120],
    ['upstream_quota', 20, 120],
  ])('Q8: of %s costs none of %i items anything in %i minutes', async (code, items, minutes) => {
    let endsAt = 0;
    const environment = setUpInTime(() => {
      if (environment.time.now >= endsAt) return 'ok';
      throw new ServiceError(code, 'Not now');
    });
    endsAt = environment.time.now + minutes * MINUTE_MS;

    await environment.processor.process(jobOf('job', messages(items)));
    await environment.drain();

    expect(await openAi(environment, 'job')).toMatchObject({
      status: 'completed',
      request_counts: { total: items, completed: items, failed: 0 },
    });
    expect(environment.time.now - endsAt).toBeLessThan(MINUTE_MS);
    // One attempt every 15 s, and those that were running when it began.
    expect(environment.agent.asked.length).toBeLessThan(2 * items + minutes * 4 + 20);
  });
});
