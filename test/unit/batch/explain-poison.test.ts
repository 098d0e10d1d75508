import { describe, expect, it } from 'vitest';
import { explainPoison } from '../../../shared/batch/explain-poison.ts';
import { digestOf } from '../../../shared/batch/job.ts';
import { answered } from '../../../shared/batch/result.ts';
import { jobOf } from '../../support/batch/jobs.ts';
import { createMemoryStore } from '../../support/batch/memory-store.ts';
import { createRecordedTelemetry } from '../../support/batch/recorded-telemetry.ts';

const job = jobOf('job', ['m0', 'm1', 'm2']);

function begunStore() {
  const store = createMemoryStore();
  const line = answered({ jobId: 'job', index: 0, customId: 'id-m0' }, 'r', { response: 'kept' });
  store.write('job', [
    { type: 'job', digest: digestOf(job), total: 3, createdAt: '2030-01-01' },
    { type: 'attempt', index: 1, code: 'upstream_timeout', retryAt: 0 },
    { type: 'result', index: 0, line },
  ]);
  return store;
}

describe('explainPoison', () => {
  it('Q12: gives every unfinished item a reason and leaves finished ones alone', async () => {
    const store = begunStore();
    const telemetry = createRecordedTelemetry();

    await explainPoison(job, { store, telemetry });

    const results = (await store.read('job'))?.results;
    expect(results?.get(0)?.error).toBeNull();
    expect(results?.get(1)).toMatchObject({
      custom_id: 'id-m1',
      error: { code: 'exhausted', message: expect.stringContaining('upstream_timeout') },
    });
    expect(results?.get(2)?.error?.code).toBe('exhausted');
    expect(telemetry.records).toMatchObject([
      { level: 'error', message: 'batch message poisoned', fields: { jobId: 'job', exhausted: 2 } },
    ]);
    expect(store.isHeld('job')).toBe(false);
  });

  it('Q12: explains a job that never began', async () => {
    const store = createMemoryStore();

    await explainPoison(job, { store, telemetry: createRecordedTelemetry() });

    expect((await store.read('job'))?.results.size).toBe(3);
  });

  it('writes nothing twice when it is delivered twice', async () => {
    const store = begunStore();
    await explainPoison(job, { store, telemetry: createRecordedTelemetry() });
    const lines = store.entries('job').length;

    await explainPoison(job, { store, telemetry: createRecordedTelemetry() });

    expect(store.entries('job')).toHaveLength(lines);
  });

  it('Q1: keeps what is no job, or another job, with the reason', async () => {
    const store = begunStore();
    const telemetry = createRecordedTelemetry();

    await explainPoison('rubbish', { store, telemetry });
    await explainPoison(jobOf('job', ['other']), { store, telemetry });

    expect(store.deadLetters.map(({ reason, jobId }) => [reason, jobId])).toEqual([
      [expect.stringContaining('neither JSON nor base64'), undefined],
      [expect.stringContaining('Another job'), 'job'],
    ]);
  });

  it('rejects while another delivery holds the job, so that it comes again', async () => {
    const store = begunStore();
    await store.open(job);

    const explaining = explainPoison(job, { store, telemetry: createRecordedTelemetry() });

    await expect(explaining).rejects.toThrow(
      'Cannot explain job job while another delivery holds it',
    );
  });

  it('Q11: rejects and lets go of the job when a reason cannot be kept', async () => {
    const store = begunStore();
    const breaking = {
      ...store,
      open: async (opened: typeof job) => {
        const hold = await store.open(opened);
        store.breakWith(new Error('storage away'));
        return hold;
      },
    };

    const explaining = explainPoison(job, {
      store: breaking,
      telemetry: createRecordedTelemetry(),
    });

    await expect(explaining).rejects.toThrow('storage away');
    expect(store.isHeld('job')).toBe(false);
  });
});
