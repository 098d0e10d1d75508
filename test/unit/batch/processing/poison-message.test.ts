import { describe, expect, it } from 'vitest';
import type { BatchStore } from '../../../../shared/batch/storage/batch-store.ts';
import {
  handlePoisonMessage,
  type PoisonDependencies,
} from '../../../../shared/batch/processing/poison-message.ts';
import { digestOf, type Job } from '../../../../shared/batch/model/job-message.ts';
import type { JournalEntry } from '../../../../shared/batch/storage/journal.ts';
import { newRecord } from '../../../../shared/batch/model/batch-record.ts';
import { successLine } from '../../../../shared/batch/model/item.ts';
import { jobOf, shardJob } from '../../../support/batch/jobs.ts';
import { createMemoryContainer } from '../../../support/batch/memory-container.ts';
import { createMemoryStore } from '../../../support/batch/memory-store.ts';
import { createRecordedTelemetry } from '../../../support/recorded-telemetry.ts';

const job = jobOf('job', ['m0', 'm1', 'm2']);

function needsOf(
  store: BatchStore,
  telemetry = createRecordedTelemetry(),
): PoisonDependencies & { sent: Job[] } {
  const sent: Job[] = [];
  const sender = {
    async send(sending: Job) {
      sent.push(sending);
    },
    hasWaiting: async () => false,
  };
  return {
    store,
    telemetry,
    sender,
    sent,
    inputs: createMemoryContainer(),
    clock: { now: () => 0 },
  };
}

const PUT_BACK: JournalEntry = { type: 'poisoned', results: 1 };

/** By default its message was requeued before, without progress since. */
function begunStore(more: readonly JournalEntry[] = [PUT_BACK, PUT_BACK, PUT_BACK]) {
  const store = createMemoryStore();
  const line = successLine({ jobId: 'job', index: 0, customId: 'id-m0' }, 'r', {
    response: 'kept',
  });
  store.write('job', [
    { type: 'job', digest: digestOf(job.items), total: 3, createdAt: '2030-01-01' },
    { type: 'attempt', index: 1, code: 'upstream_timeout', retryAt: 0 },
    { type: 'result', index: 0, line },
    ...more,
  ]);
  return store;
}

describe('handlePoisonMessage', () => {
  it('Q12: writes an error for every unfinished item and keeps the results', async () => {
    const store = begunStore();
    const telemetry = createRecordedTelemetry();

    await handlePoisonMessage(job, needsOf(store, telemetry));

    const results = (await store.read('job'))?.results;
    expect(results?.get(0)?.error).toBeNull();
    expect(results?.get(1)).toMatchObject({
      custom_id: 'id-m1',
      error: { code: 'exhausted', message: expect.stringContaining('upstream_timeout') },
    });
    expect(results?.get(2)?.error?.code).toBe('exhausted');
    expect(telemetry.lines).toMatchObject([
      { level: 'error', message: 'batch message poisoned', fields: { jobId: 'job', exhausted: 2 } },
      { level: 'info', message: 'batch finished' },
    ]);
    expect(store.isLeased('job')).toBe(false);
  });

  it('Q12: requeues a job three times in a row, not a fourth time', async () => {
    const store = begunStore([PUT_BACK, PUT_BACK]);
    const first = needsOf(store);
    const second = needsOf(store);

    await handlePoisonMessage(job, first);
    await handlePoisonMessage(job, second);

    expect(first.sent).toEqual([shardJob('job')]);
    expect(second.sent).toEqual([]);
    expect((await store.read('job'))?.results.get(2)?.error?.code).toBe('exhausted');
  });

  it('Q12: counts from the start when deliveries wrote a result', async () => {
    const line = successLine({ jobId: 'job', index: 1, customId: 'id-m1' }, 'r', {
      response: 'ok',
    });
    const store = begunStore([PUT_BACK, PUT_BACK, PUT_BACK, { type: 'result', index: 1, line }]);
    const needs = needsOf(store);

    await handlePoisonMessage(job, needs);

    expect(needs.sent).toEqual([shardJob('job')]);
  });

  it('Q12: writes errors for a job that never started', async () => {
    const store = createMemoryStore();

    for (let times = 0; times < 4; times += 1) await handlePoisonMessage(job, needsOf(store));

    expect((await store.read('job'))?.results.size).toBe(3);
  });

  it('writes nothing twice when it is delivered twice', async () => {
    const store = begunStore();
    await handlePoisonMessage(job, needsOf(store));
    const lines = store.entries('job').length;

    await handlePoisonMessage(job, needsOf(store));

    expect(store.entries('job')).toHaveLength(lines);
  });

  it('Q1: stores an invalid or a different job with the reason', async () => {
    const store = begunStore();
    const telemetry = createRecordedTelemetry();
    await handlePoisonMessage(job, needsOf(store));

    await handlePoisonMessage('rubbish', needsOf(store, telemetry));
    await handlePoisonMessage(jobOf('job', ['other']), needsOf(store, telemetry));

    expect(store.deadLetters()).toEqual([
      expect.objectContaining({ reason: expect.stringContaining('neither JSON nor base64') }),
      expect.objectContaining({ reason: expect.stringContaining('Another job'), jobId: 'job' }),
    ]);
  });

  it('rejects while another delivery leases the job, so that it is delivered again', async () => {
    const store = begunStore();
    await store.acquireShard({
      id: 'job',
      shard: 0,
      total: 3,
      digest: digestOf(job.items),
      generation: 0,
    });

    const handling = handlePoisonMessage(job, needsOf(store));

    await expect(handling).rejects.toThrow('Cannot handle a poisoned job while it is processed');
  });

  it('Q11: rejects and releases the shard when a result cannot be written', async () => {
    const store = begunStore();
    const breaking = {
      ...store,
      acquireShard: async (opened: Parameters<typeof store.acquireShard>[0]) => {
        const lease = await store.acquireShard(opened);
        store.breakWith(new Error('storage away'));
        return lease;
      },
    };

    const handling = handlePoisonMessage(job, needsOf(breaking));

    await expect(handling).rejects.toThrow('storage away');
    expect(store.isLeased('job')).toBe(false);
  });

  it('Q12: sends the shards of a batch whose planner became poison after the plan was stored', async () => {
    const store = createMemoryStore();
    const needs = needsOf(store);
    const record = newRecord({ id: 'split', owner: null, digest: 'd', now: 0 });
    await store.createOrGet({ ...record, inputBlob: 'batch-input/x.jsonl' });
    const shard = { start: 0, end: 9, first: 0, count: 1, duplicates: [] };
    const plan = { v: 1 as const, total: 2, errors: [], failed: false };
    await store.savePlan('split', { ...plan, shards: [shard, { ...shard, first: 1 }] });

    await handlePoisonMessage({ v: 1, jobId: 'split' }, needs);

    expect(needs.sent).toEqual([shardJob('split', 0), shardJob('split', 1)]);
  });

  it('Q12: ends a batch that could never be split, with the reason', async () => {
    const store = createMemoryStore();

    await handlePoisonMessage(
      { v: 1, jobId: 'unread', inputBlob: 'batch-input/x.jsonl' },
      needsOf(store),
    );

    const { finals } = await store.progress('unread');
    expect(finals.get(0)?.outcome).toBe('failed');
    expect(store.container.blobs.get('unread/plan.json')?.content.toString()).toContain(
      'exhausted',
    );
  });
});
