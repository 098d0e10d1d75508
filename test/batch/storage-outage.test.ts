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
const BUSY = { status: 503, code: 'ServerBusy' } as const;
let connectionString: string;

beforeAll(async () => {
  environment = await startStorageEnvironment();
  // The worst case: storage processes the request and sends no response.
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
