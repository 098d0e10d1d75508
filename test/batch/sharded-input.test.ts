import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { createAzureBlobContainer } from '../../shared/storage/azure/azure-blob-container.ts';
import type { Batch } from '../../shared/batch/queue-trigger.ts';
import { INPUT_CONTAINER } from '../../shared/batch/storage-names.ts';
import { ServiceError } from '../../shared/errors.ts';
import { noopTelemetry } from '../../shared/telemetry/create-telemetry.ts';
import { itemOf, QUEUE_OWNER_ID, messages } from '../support/batch/jobs.ts';
import { pumpQueue } from '../support/batch/pump-queue.ts';
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

async function putInput(name: string, count: number): Promise<string> {
  const { connection } = environment;
  const options = { connection, container: INPUT_CONTAINER, telemetry: noopTelemetry };
  const lines = messages(count).map((message) => `${JSON.stringify(itemOf(message))}\n`);
  await createAzureBlobContainer(options).create(name, { content: lines.join('') });
  return `${INPUT_CONTAINER}/${name}`;
}

async function ended({ batches }: Batch, id: string): Promise<boolean> {
  return (await batches.view(id, QUEUE_OWNER_ID)).final !== undefined;
}

async function linesIn(batch: Batch, fileId: string): Promise<string[]> {
  const { chunks } = await batch.files.content(fileId, QUEUE_OWNER_ID);
  const text = Buffer.concat(await Array.fromAsync(chunks)).toString('utf8');
  return text.trimEnd().split('\n');
}

describe('a large input on the queue', () => {
  it('Q3: is processed once by two instances although its message is delivered ten times', async () => {
    const script = () => pause(2).then(() => 'ok');
    const needs = { connectionString: environment.connectionString, script, itemsPerShard: 25 };
    const [one, two] = [storageProcessor(needs), storageProcessor(needs)];
    const inputBlob = await putInput('large.jsonl', 400);
    const message = JSON.stringify({ v: 1, jobId: 'large', inputBlob });
    await one.processor.process(message);
    for (let copy = 1; copy < 10; copy += 1) await environment.jobs.sendMessage(message);
    const isDone = () => ended(one.batch, 'large');

    await Promise.all(
      [one, two].map(({ processor }) => pumpQueue(environment, { processor, isDone })),
    );

    const asked = [...one.agent.asked, ...two.agent.asked];
    const { counts, shards } = await one.batch.batches.view('large', QUEUE_OWNER_ID);
    const lines = await linesIn(one.batch, 'file-large-output-0');
    expect(asked.toSorted()).toEqual(messages(400).toSorted());
    expect(one.agent.asked.length * two.agent.asked.length).toBeGreaterThan(0);
    expect(counts).toEqual({ total: 400, completed: 400, failed: 0 });
    expect(shards).toMatchObject({ total: 16, done: 16 });
    expect(new Set(lines).size).toBe(400);
  });

  it('Q8: loses nothing while the model has no capacity, with few calls', async () => {
    let roomAgainAt = Number.POSITIVE_INFINITY;
    let refused = 0;
    const { processor, batch, agent } = storageProcessor({
      connectionString: environment.connectionString,
      itemsPerShard: 25,
      firstPauseMs: 300,
      async script() {
        await pause(2);
        const hasRoom = agent.asked.length < 60 || performance.now() > roomAgainAt;
        if (hasRoom) return 'ok';
        if (refused === 0) roomAgainAt = performance.now() + 1_500;
        refused += 1;
        throw new ServiceError('upstream_rate_limited', 'Too many requests');
      },
    });
    const inputBlob = await putInput('throttled.jsonl', 150);
    await processor.process({ v: 1, jobId: 'throttled', inputBlob });

    await pumpQueue(environment, { processor, isDone: () => ended(batch, 'throttled') });

    const { counts } = await batch.batches.view('throttled', QUEUE_OWNER_ID);
    expect(counts).toEqual({ total: 150, completed: 150, failed: 0 });
    expect(refused).toBeGreaterThan(0);
    expect(refused).toBeLessThan(75);
    expect(agent.asked).toHaveLength(150 + refused);
  });

  it('is not delayed by one slow item', async () => {
    let finishedBefore = 0;
    const { processor, batch, agent } = storageProcessor({
      connectionString: environment.connectionString,
      concurrency: 4,
      async script({ message }) {
        if (message === 'm0') {
          await expect.poll(() => agent.asked.length, { timeout: 20_000 }).toBe(60);
          finishedBefore = agent.asked.length - 4;
        }
        return 'ok';
      },
    });
    const inputBlob = await putInput('straggler.jsonl', 60);
    await processor.process({ v: 1, jobId: 'straggler', inputBlob });

    await pumpQueue(environment, { processor, isDone: () => ended(batch, 'straggler') });

    expect(finishedBefore).toBe(56);
    expect(agent.mostAtOnce()).toBe(4);
  });
});
