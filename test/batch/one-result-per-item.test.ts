import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Job, JobSender } from '../../shared/batch/model/job-message.ts';
import { jobOf, messages } from '../support/batch/jobs.ts';
import { untilAborted } from '../support/batch/scripted-agent.ts';
import { storageProcessor } from '../support/batch/storage-processor.ts';
import {
  startStorageEnvironment,
  type StorageEnvironment,
} from '../support/batch/storage-environment.ts';

let environment: StorageEnvironment;

beforeAll(async () => {
  environment = await startStorageEnvironment();
});

beforeEach(() => environment.jobs.clearMessages());

afterAll(() => environment.stop());

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

async function resultLines(jobId: string): Promise<string[]> {
  const lines = (await environment.journalText(jobId)).trimEnd().split('\n');
  return lines.filter((line) => line.startsWith('{"type":"result"'));
}

describe('one result for each item', () => {
  it('Q3: runs each item once when two instances get ten copies of a message', async () => {
    const sent: Job[] = [];
    const sender: JobSender = {
      async send(job) {
        sent.push(job);
      },
      hasWaiting: async () => false,
    };
    const script = () => pause(5).then(() => 'ok');
    const { connectionString } = environment;
    const needs = { connectionString, sender, script };
    const instances = [storageProcessor(needs), storageProcessor(needs)] as const;
    const job = jobOf('copies', messages(20));
    let copies: Job[] = Array.from({ length: 10 }, () => job);

    // Delivers requeued messages until none is left.
    while (copies.length > 0) {
      await Promise.all(
        copies.map((copy, at) => instances[at % 2 === 0 ? 0 : 1].processor.process(copy)),
      );
      copies = sent.splice(0);
    }

    const asked = instances.flatMap(({ agent }) => agent.asked);
    expect(asked.toSorted()).toEqual(messages(20).toSorted());
    expect(await resultLines('copies')).toHaveLength(20);
  });

  it('Q4: does not depend on the order of jobs and their copies', async () => {
    const { processor, read, agent } = storageProcessor(environment);
    const jobs = ['c', 'a', 'b'].map((jobId) => jobOf(jobId, [`${jobId}0`, `${jobId}1`]));

    await Promise.all([...jobs, ...jobs.toReversed()].map((job) => processor.process(job)));

    const views = await Promise.all(['a', 'b', 'c'].map((jobId) => read(jobId)));
    expect(views.map((view) => view?.results.size)).toEqual([2, 2, 2]);
    expect(agent.asked.toSorted()).toEqual(['a0', 'a1', 'b0', 'b1', 'c0', 'c1']);
  });

  it('Q6: continues in another instance when the first is stopped', async () => {
    const { connectionString } = environment;
    const first = storageProcessor({
      connectionString,
      script: ({ message, signal }) => (message < 'm3' ? 'ok' : untilAborted(signal)),
    });
    const delivery = first.processor.process(jobOf('stopped', messages(9)));
    await expect.poll(() => first.agent.asked).toHaveLength(7);
    await first.processor.stop();
    await delivery;

    const second = storageProcessor({ connectionString });
    const { receivedMessageItems } = await environment.jobs.receiveMessages();
    await second.processor.process(receivedMessageItems[0]?.messageText);

    expect(second.agent.asked).toEqual(['m3', 'm4', 'm5', 'm6', 'm7', 'm8']);
    expect(await resultLines('stopped')).toHaveLength(9);
  });

  it('runs a thousand items as fast as the concurrency allows, with few writes', async () => {
    const script = () => pause(5).then(() => 'ok');
    const { connectionString } = environment;
    const serial = storageProcessor({ connectionString, script, concurrency: 1 });
    const wide = storageProcessor({ connectionString, script, concurrency: 50 });
    const serialAt = performance.now();
    await serial.processor.process(jobOf('serial', messages(20)));
    const oneMs = (performance.now() - serialAt) / 20;
    const wideAt = performance.now();

    await wide.processor.process(jobOf('wide', messages(1_000)));

    const wideMs = performance.now() - wideAt;
    expect(await resultLines('wide')).toHaveLength(1_000);
    expect(wide.agent.asked).toHaveLength(1_000);
    expect(wide.agent.mostAtOnce()).toBe(50);
    expect((1_000 * oneMs) / wideMs).toBeGreaterThan(5);
    const blob = environment.results.getBlobClient('wide/shard-00000.journal.jsonl');
    expect((await blob.getProperties()).blobCommittedBlockCount).toBeLessThan(500);
  });
});
