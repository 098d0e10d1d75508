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
/** Requests to come that a busy storage refuses. */
let busyFor = 0;
const BUSY = { status: 503, code: 'ServerBusy' } as const;
let connectionString: string;

beforeAll(async () => {
  environment = await startStorageEnvironment();
  // The worst of storages: it does the work and says nothing.
  proxy = await startBreakProxy({
    targetPort: environment.blobPort,
    breaks: () => {
      if (away) return 'lost';
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
});

afterAll(async () => {
  await proxy.close();
  await environment.stop();
});

/** Enough to see that waiting has an end. */
const IMPATIENT = requestTimeouts(60_000);

describe('storage that is busy for a moment', () => {
  it('Q11: is waited for, and no item runs twice', async () => {
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
  it('Q11: rejects the delivery in the middle, and loses and repeats nothing later', async () => {
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

  it('Q11: rejects deliveries at once, valid jobs and invalid messages', async () => {
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
