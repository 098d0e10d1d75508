import { QueueServiceClient } from '@azure/storage-queue';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startAzurite } from '../../../dev/azurite.ts';
import type { Azurite } from '../../../dev/azurite.ts';
import { createBatchService } from '../../../dev/batch/batch-service.ts';
import { prepareStorage } from '../../../dev/prepare-storage.ts';

let azurite: Azurite;

beforeAll(async () => {
  azurite = await startAzurite();
  await prepareStorage(azurite.connectionString);
});

afterAll(async () => {
  await azurite.stop();
});

describe('the batch service on a real storage', () => {
  it('puts a job on the queue as plain JSON, and knows nothing of a job that nobody began', async () => {
    const service = createBatchService(azurite.connectionString);
    const job = {
      v: 1 as const,
      jobId: 'job',
      items: [{ custom_id: 'a', body: { message: 'é' } }],
    };

    await service.submit(job);

    const queue = QueueServiceClient.fromConnectionString(azurite.connectionString).getQueueClient(
      'batch-jobs',
    );
    const { peekedMessageItems } = await queue.peekMessages();
    expect(peekedMessageItems.map(({ messageText }): unknown => JSON.parse(messageText))).toEqual([
      job,
    ]);
    expect(await service.read('job')).toBeUndefined();
  });
});
