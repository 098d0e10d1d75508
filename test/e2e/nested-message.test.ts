import { QueueClient } from '@azure/storage-queue';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { z } from 'zod';
import { JOB_QUEUE, POISON_QUEUE } from '../../shared/batch/storage-names.ts';
import { startStorageView } from '../support/batch/storage-view.ts';
import { eventually } from './support/post-chat.ts';
import { startEnvironment, type TestEnvironment } from './support/start-environment.ts';

let environment: TestEnvironment;
beforeAll(async () => {
  environment = await startEnvironment({ model: 'dev/instant' });
});
afterAll(() => environment.stop());

const DEEP = `${'['.repeat(20_000)}${']'.repeat(20_000)}`;
const MESSAGES = [
  DEEP,
  `{"v":1,"jobId":${DEEP}}`,
  `{"v":1,"jobId":"deep","items":[{"custom_id":"a","body":{"message":"Hi"}}],"more":${DEEP}}`,
  `{"specversion":"1.0","data":${DEEP}}`,
];
const letterSchema = z.object({ reason: z.string() });

async function count(queue: string): Promise<number> {
  const client = new QueueClient(environment.connectionString, queue);
  return (await client.getProperties()).approximateMessagesCount ?? 0;
}

it('T12: a message nested 20,000 levels deep becomes a dead letter with its reason', async () => {
  const storage = startStorageView(environment.connectionString);
  const jobs = new QueueClient(environment.connectionString, JOB_QUEUE);
  const letters = () => Array.fromAsync(storage.results.list('_dead-letters/'));

  for (const message of MESSAGES) await jobs.sendMessage(message);

  await eventually('each has a dead letter', async () => {
    return (await letters()).length === MESSAGES.length;
  });
  const texts = await Promise.all(
    (await letters()).map(async ({ name }) => (await storage.results.read(name))?.text ?? ''),
  );
  const reasons = texts.map((text) => letterSchema.parse(JSON.parse(text)).reason);
  expect(reasons.every((reason) => reason.startsWith('The message is not a job: '))).toBe(true);
  await eventually('the queue is empty', async () => (await count(JOB_QUEUE)) === 0);
  expect(await count(POISON_QUEUE)).toBe(0);
});
