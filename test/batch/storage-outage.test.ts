import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { requestTimeouts } from '../../shared/storage/azure/storage-timeouts.ts';
import { breakLease } from '../support/batch/break-lease.ts';
import { startBreakProxy, type BreakProxy } from '../support/batch/break-proxy.ts';
import { jobOf, messages } from '../support/batch/jobs.ts';
import { storageProcessor } from '../support/batch/storage-processor.ts';
import {
  startStorageEnvironment,
  type StorageEnvironment,
} from '../support/batch/storage-environment.ts';

let environment: StorageEnvironment;
let proxy: BreakProxy;
let away = false;
/** The number of requests that the busy storage still refuses. */
let busyFor = 0;
/** Appends to come that a full journal refuses. */
let fullFor = 0;
let isBeingDeleted = false;
const BUSY = { status: 503, code: 'ServerBusy' } as const;
const FULL = { status: 409, code: 'BlockCountExceedsLimit' } as const;
const BEING_DELETED = { status: 409, code: 'ContainerBeingDeleted' } as const;
let connectionString: string;

beforeAll(async () => {
  environment = await startStorageEnvironment();
  // The worst case: storage processes the request and sends no response.
  proxy = await startBreakProxy({
    targetPort: environment.blobPort,
    breaks: ({ url = '' }) => {
      if (away) return 'lost';
      if (isBeingDeleted) return BEING_DELETED;
      if (fullFor > 0 && url.includes('comp=appendblock')) {
        fullFor -= 1;
        return FULL;
      }
      if (busyFor === 0) return undefined;
      busyFor -= 1;
      return BUSY;
    },
  });
  connectionString = environment.connectionString.replace(
    `:${environment.blobPort}/`,
    `:${proxy.port}/`,
  );
});

beforeEach(() => {
  away = false;
  busyFor = 0;
  fullFor = 0;
  isBeingDeleted = false;
});

afterAll(async () => {
  await proxy.close();
  await environment.stop();
});

/** Long enough to see that the wait ends. */
const IMPATIENT = requestTimeouts(60_000);

describe('storage that is briefly busy', () => {
  it('Q11: is retried, and no item runs twice', async () => {
    const { processor, agent, read } = storageProcessor({
      connectionString,
      script: ({ message }) => {
        if (message === 'm4') busyFor = 4;
        return 'ok';
      },
    });

    await processor.process(jobOf('busy', messages(8)));

    expect(busyFor).toBe(0);
    expect(agent.asked.toSorted()).toEqual(messages(8));
    expect((await read('busy'))?.results.size).toBe(8);
  });
});

describe('storage that does not answer', () => {
  it('Q11: rejects the running delivery, and no result is lost or repeated later', async () => {
    const { processor, agent, read } = storageProcessor({
      connectionString,
      timeouts: IMPATIENT,
      concurrency: 1,
      script: ({ message, call }) => {
        if (message === 'm4' && call === 1) away = true;
        return 'ok';
      },
    });
    const job = jobOf('middle', messages(8));

    await expect(processor.process(job)).rejects.toThrow();

    away = false;
    // The result of m4 arrived, although its response was lost.
    await breakLease(environment.results, 'middle').catch(() => undefined);
    await processor.process(job);
    expect(agent.asked).toEqual(messages(8));
    expect((await read('middle'))?.results.size).toBe(8);
  });

  it('Q11: rejects new deliveries at once, valid jobs and invalid messages', async () => {
    const { processor, agent } = storageProcessor({ connectionString, timeouts: IMPATIENT });
    away = true;

    const outcomes = await Promise.allSettled([
      processor.process(jobOf('door', ['hi'])),
      processor.process('rubbish'),
    ]);

    expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    expect(agent.asked).toEqual([]);
  });
});

describe('a journal that takes no further append', () => {
  it('F15: goes on in an empty blob, and no result is lost or repeated', async () => {
    const { processor, batch, agent } = storageProcessor({
      connectionString,
      concurrency: 1,
      script: ({ message }) => {
        if (message === 'm3') fullFor = 1;
        return 'ok';
      },
    });
    const job = jobOf('full', messages(6));

    await processor.process(job);
    await processor.process(job);

    const lines = await Array.fromAsync(batch.store.results('full', 'succeeded'));
    expect(agent.asked).toEqual(messages(6));
    expect(lines).toHaveLength(6);
    const progress = await batch.store.progress('full');
    expect(progress.finals.get(0)).toMatchObject({ outcome: 'completed', succeeded: 6 });
  });

  it('F15: does not keep a cancelled batch from its end', async () => {
    const { processor, batch } = storageProcessor({
      connectionString,
      concurrency: 1,
      script: ({ message }) => {
        if (message === 'm2') fullFor = Number.POSITIVE_INFINITY;
        return 'ok';
      },
    });
    const job = jobOf('blocked', messages(4));
    const running = await processor.process(job).catch((error: unknown) => error);
    await batch.store.change('blocked', (record) => ({ ...record, cancelledAt: '2030-01-01' }));

    const again = await processor.process(job).catch((error: unknown) => error);
    await batch.handlePoison(job);

    expect([running, again]).toEqual([
      expect.objectContaining({ code: 'storage_unavailable' }),
      expect.objectContaining({ code: 'storage_unavailable' }),
    ]);
    const { finals } = await batch.store.progress('blocked');
    expect(finals.get(0)).toMatchObject({ outcome: 'cancelled' });
  });
});

describe('a container that is being deleted', () => {
  it('F15: is a reason to try again, also for a message of the poison queue', async () => {
    const { processor, batch } = storageProcessor({ connectionString });
    const job = jobOf('deleted', messages(2));
    isBeingDeleted = true;

    const outcomes = await Promise.allSettled([processor.process(job), batch.handlePoison(job)]);
    isBeingDeleted = false;
    await processor.process(job);

    const retryable = expect.objectContaining({ code: 'storage_unavailable' });
    expect(outcomes).toEqual([
      { status: 'rejected', reason: retryable },
      { status: 'rejected', reason: retryable },
    ]);
    expect((await batch.store.progress('deleted')).finals.size).toBe(1);
  });
});
