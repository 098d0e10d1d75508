import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { toMessageText } from '../../shared/batch/model/job-message.ts';
import { breakLease } from '../support/batch/break-lease.ts';
import { jobOf, messages } from '../support/batch/jobs.ts';
import { storageProcessor } from '../support/batch/storage-processor.ts';
import {
  startStorageEnvironment,
  type StorageEnvironment,
} from '../support/batch/storage-environment.ts';
import { runScript } from '../support/run-script.ts';

const SCRIPT = join(import.meta.dirname, 'fixtures', 'process-once.ts');

let environment: StorageEnvironment;

beforeAll(async () => {
  environment = await startStorageEnvironment();
});

beforeEach(() => environment.jobs.clearMessages());

afterAll(() => environment.stop());

function deliver(...args: string[]) {
  return runScript(SCRIPT, { args: [environment.connectionString, ...args] });
}

function askedBy(output: string): string[] {
  return [...output.matchAll(/asked (\S+)/g)].map(([, message]) => message ?? '');
}

describe('a process that is killed in the middle of a job', () => {
  it('Q5: keeps the results; the redelivery runs only the other items', async () => {
    const job = jobOf('killed', messages(12));
    const first = deliver(toMessageText(job), '30');
    await first.waitFor('asked m6');
    first.child.kill('SIGKILL');
    await first.ended;
    const kept = (await environment.journalText('killed')).match(/"type":"result"/g)?.length ?? 0;
    await breakLease(environment.results, 'killed');
    const { processor, agent, read } = storageProcessor(environment);

    await processor.process(job);

    const asked = [...askedBy(first.stdout()), ...agent.asked];
    expect(kept).toBeGreaterThan(3);
    expect(agent.asked).toHaveLength(12 - kept);
    expect(new Set(asked).size).toBe(12);
    // Only items that were running at the kill may run twice.
    expect(asked.length - 12).toBeLessThanOrEqual(2);
    expect((await read('killed'))?.results.size).toBe(12);
  });

  it('Q9: finds the job leased right after the kill and reschedules itself', async () => {
    const job = jobOf('held', messages(4));
    const first = deliver(toMessageText(job), '10', 'm2');
    expect(await first.ended).toMatchObject({ signal: 'SIGKILL' });
    const { processor, agent } = storageProcessor(environment);

    await processor.process(job);

    expect(agent.asked).toEqual([]);
    expect((await environment.jobs.getProperties()).approximateMessagesCount).toBe(1);
  });

  it(
    'Q7: an item that kills each process is marked as exhausted; finished items stay',
    // Nine processes one after the other.
    { timeout: 180_000 },
    async () => {
      const job = jobOf('deadly', messages(6));
      for (let delivery = 1; delivery <= 9; delivery += 1) {
        const killed = deliver(toMessageText(job), '20', 'm3');
        expect(await killed.ended).toMatchObject({ signal: 'SIGKILL' });
        await breakLease(environment.results, 'deadly');
      }
      const { processor, agent, read } = storageProcessor(environment);

      await processor.process(job);

      const results = (await read('deadly'))?.results;
      const codes = [...Array(6).keys()].map((index) => results?.get(index)?.error?.code);
      expect(codes.slice(0, 2)).toEqual([undefined, undefined]);
      expect(codes.slice(3)).toEqual(['exhausted', 'exhausted', 'exhausted']);
      expect(agent.asked).toEqual([]);
      expect((await environment.jobs.getProperties()).approximateMessagesCount).toBe(0);
    },
  );

  it('Q12: gets failed results when its message becomes poison', async () => {
    const job = jobOf('poisoned', messages(4));
    await deliver(toMessageText(job), '20', 'm3').ended;
    const { batch, read } = storageProcessor(environment);
    await expect(batch.handlePoison(job)).rejects.toThrow('Cannot handle a poisoned job');
    await breakLease(environment.results, 'poisoned');

    await batch.handlePoison(toMessageText(job));
    const putBack = await environment.jobs.getProperties();
    for (let times = 2; times <= 4; times += 1) await batch.handlePoison(toMessageText(job));

    const results = (await read('poisoned'))?.results;
    expect(putBack.approximateMessagesCount).toBe(1);
    expect(results?.get(0)?.error).toBeNull();
    expect(results?.get(3)?.error?.code).toBe('exhausted');
    expect(results?.size).toBe(4);
  });
});
