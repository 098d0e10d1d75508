import { describe, expect, it } from 'vitest';
import { createConcurrencyLimiters } from '../../../shared/batch/processing/concurrency-limiter.ts';
import { ServiceError } from '../../../shared/errors.ts';
import {
  customIdsIn,
  linesOf,
  openAi,
  OWNER,
  setUp,
  textOf,
} from '../../support/batch/batch-environment.ts';
import { jobOf, messages, shardJob } from '../../support/batch/jobs.ts';
import { untilAborted } from '../../support/batch/scripted-agent.ts';

describe('a batch that is cancelled', () => {
  it('stops running items, keeps results and ends the others', async () => {
    const environment = setUp(({ message, signal }) =>
      message === 'm0' ? 'ok' : untilAborted(signal),
    );
    const id = await environment.submit(linesOf(5));
    await environment.processor.process(environment.sent.pop()?.job);
    const running = environment.processor.process(shardJob(id, 0));
    await expect
      .poll(() => environment.store.entries(id).filter(({ type }) => type === 'result'))
      .toHaveLength(1);

    const asked = await environment.batches.cancel(id, OWNER);
    await running;
    await environment.drain();

    const batch = await openAi(environment, id);
    expect(asked.status).toBe('cancelling');
    expect(batch).toMatchObject({
      status: 'cancelled',
      request_counts: { total: 5, completed: 1, failed: 4 },
    });
    expect(customIdsIn(await textOf(environment, batch.output_file_id))).toEqual(['id-m0']);
    expect(await textOf(environment, batch.error_file_id)).toContain('batch_cancelled');
    expect(environment.agent.asked).not.toContain('m4');
  });

  it('cannot be cancelled once it has ended', async () => {
    const environment = setUp();
    const id = await environment.submit(linesOf(1));
    await environment.drain();

    await expect(environment.batches.cancel(id, OWNER)).rejects.toMatchObject({
      code: 'invalid_request',
    });
  });
});

describe('a retry of failed items', () => {
  it('runs only the failed items again and keeps the earlier files', async () => {
    let isWell = false;
    const environment = setUp(({ message }) => {
      if (isWell || message !== 'm1') return 'ok';
      throw new ServiceError('content_filtered', 'No');
    });
    const id = await environment.submit(linesOf(5));
    await environment.drain();
    const first = await openAi(environment, id);
    isWell = true;

    const reopened = await environment.batches.retryFailed(id, OWNER);
    await environment.drain();

    const second = await openAi(environment, id);
    expect(reopened.status).toBe('in_progress');
    expect(second).toMatchObject({
      status: 'completed',
      request_counts: { total: 5, completed: 5, failed: 0 },
      error_file_id: null,
    });
    expect(environment.agent.asked.filter((message) => message === 'm1')).toHaveLength(2);
    expect(environment.agent.asked).toHaveLength(6);
    expect(customIdsIn(await textOf(environment, first.error_file_id))).toEqual(['id-m1']);
    expect(customIdsIn(await textOf(environment, second.output_file_id))).toHaveLength(5);
  });

  it('requires failed items and a batch that has ended', async () => {
    const environment = setUp();
    const id = await environment.submit(linesOf(1));
    const early = environment.batches.retryFailed(id, OWNER);
    await expect(early).rejects.toMatchObject({ code: 'invalid_request' });
    await environment.drain();

    await expect(environment.batches.retryFailed(id, OWNER)).rejects.toThrow(
      'no item of it failed',
    );
  });
});

describe('a model without capacity', () => {
  it('Q8: costs no item an attempt and few calls, however long it lasts', async () => {
    let isWell = false;
    const limiters = createConcurrencyLimiters({ max: 8, firstPauseMs: 20 });
    const limiter = limiters.forBatch('job');
    const environment = setUp(
      () => {
        if (isWell) return 'ok';
        throw new ServiceError('upstream_rate_limited', 'Too many');
      },
      { limiters, concurrency: 8 },
    );
    const job = jobOf('job', messages(30));
    for (let delivery = 0; delivery < 12; delivery += 1) {
      await environment.processor.process(job);
      await new Promise((resolve) => setTimeout(resolve, Math.min(limiter.pausedMs(), 50) + 1));
    }
    const doomed = environment.agent.asked.length;
    isWell = true;
    await expect.poll(() => limiter.pausedMs(), { timeout: 15_000 }).toBe(0);

    await environment.processor.process(job);

    expect(doomed).toBeLessThan(30);
    expect(environment.store.entries('job').filter(({ type }) => type === 'attempt')).toEqual([]);
    expect((await openAi(environment, 'job')).request_counts.completed).toBe(30);
  });

  it('Q8: reschedules the job for as long as the model requests', async () => {
    const environment = setUp(() => {
      throw new ServiceError('upstream_rate_limited', 'Too many', { retryAfterSeconds: 42 });
    });

    await environment.processor.process(jobOf('job', messages(2)));

    expect(environment.sent).toMatchObject([{ job: shardJob('job'), delaySeconds: 42 }]);
    expect((await openAi(environment, 'job')).progress.shards).toMatchObject({
      waiting: 1,
      interrupted: 0,
    });
  });

  it('differs from one item that fails alone', async () => {
    const environment = setUp(async ({ message }) => {
      if (message !== 'm0') return 'ok';
      await new Promise((resolve) => setImmediate(resolve));
      throw new ServiceError('upstream_unavailable', 'Unavailable');
    });

    await environment.processor.process(jobOf('job', messages(3)));

    expect(environment.store.entries('job')).toContainEqual(
      expect.objectContaining({ type: 'attempt', index: 0, code: 'upstream_unavailable' }),
    );
  });

  it('ends open items when the completion window is over', async () => {
    const environment = setUp(() => {
      throw new ServiceError('upstream_rate_limited', 'Too many', { retryAfterSeconds: 1 });
    });
    await environment.processor.process(jobOf('job', messages(2)));
    environment.time.now += 25 * 60 * 60_000;

    await environment.processor.process(shardJob('job'));

    const batch = await openAi(environment, 'job');
    expect(batch).toMatchObject({ status: 'expired', request_counts: { failed: 2 } });
    expect(await textOf(environment, batch.error_file_id)).toContain('batch_expired');
  });
});
