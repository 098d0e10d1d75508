import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { breakLease } from '../support/batch/break-lease.ts';
import { startBreakProxy, type BreakProxy } from '../support/batch/break-proxy.ts';
import { jobOf, messages } from '../support/batch/jobs.ts';
import { storageProcessor } from '../support/batch/storage-processor.ts';
import { startStorageWorld, type StorageWorld } from '../support/batch/storage-world.ts';

let world: StorageWorld;
let proxy: BreakProxy;
let away = false;
let connectionString: string;

beforeAll(async () => {
  world = await startStorageWorld();
  // The worst of storages: it does the work and says nothing.
  proxy = await startBreakProxy({
    targetPort: world.blobPort,
    breaks: () => (away ? 'lost' : undefined),
  });
  connectionString = world.connectionString.replace(`:${world.blobPort}/`, `:${proxy.port}/`);
});

beforeEach(() => {
  away = false;
});

afterAll(async () => {
  await proxy.close();
  await world.stop();
});

describe('storage that does not answer', () => {
  it('Q11: rejects the delivery in the middle, and loses and repeats nothing later', async () => {
    const { processor, agent, read } = storageProcessor({
      connectionString,
      concurrency: 1,
      script: ({ message, call }) => {
        if (message === 'm4' && call === 1) away = true;
        return 'ok';
      },
    });
    const job = jobOf('middle', messages(8));

    await expect(processor.process(job)).rejects.toThrow();

    away = false;
    // The result of m4 arrived, although nobody was told.
    await breakLease(world, 'middle').catch(() => undefined);
    await processor.process(job);
    expect(agent.asked).toEqual(messages(8));
    expect((await read('middle'))?.results.size).toBe(8);
  });

  it('Q11: rejects at the door, for jobs and for rubbish', async () => {
    const { processor, agent } = storageProcessor({ connectionString });
    away = true;

    const outcomes = await Promise.allSettled([
      processor.process(jobOf('door', ['hi'])),
      processor.process('rubbish'),
    ]);

    expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    expect(agent.asked).toEqual([]);
  });
});
