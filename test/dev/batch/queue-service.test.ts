import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createQueueService } from '../../../dev/batch/queue-service.ts';
import { storageProcessor } from '../../support/batch/storage-processor.ts';
import {
  startStorageEnvironment,
  type StorageEnvironment,
} from '../../support/batch/storage-environment.ts';

let environment: StorageEnvironment;

beforeAll(async () => {
  environment = await startStorageEnvironment();
});

afterAll(() => environment.stop());

const LINES = '{"custom_id":"a","body":{"message":"é"}}\n{"custom_id":"b","body":{}}\n';

describe('batches by the queue of a real storage', () => {
  it('become a message that points to the items, and results', async () => {
    const service = createQueueService({
      kind: 'connectionString',
      connectionString: environment.connectionString,
    });
    await service.submit('job', LINES);
    const untaken = await service.progress('job');
    const { processor } = storageProcessor(environment);

    for (let taken = 1; taken > 0;) {
      const { receivedMessageItems } = await environment.jobs.receiveMessages({
        visibilityTimeout: 60,
      });
      for (const { messageText } of receivedMessageItems) await processor.process(messageText);
      taken = receivedMessageItems.length;
    }

    const results = await Array.fromAsync(service.results('job'));
    expect(untaken).toEqual({ started: false, done: 0, failed: 0, ended: false });
    expect(await service.progress('job')).toEqual({
      started: true,
      done: 2,
      failed: 1,
      ended: true,
      refused: undefined,
    });
    expect(results.map((line) => [line.custom_id, line.error?.code])).toEqual([
      ['a', undefined],
      ['b', 'invalid_request'],
    ]);
  });

  it('are not mixed up when an id is used again for other items', async () => {
    const service = createQueueService({
      kind: 'connectionString',
      connectionString: environment.connectionString,
    });
    await service.submit('taken', LINES);
    await service.submit('taken', LINES);

    const other = service.submit('taken', LINES.toUpperCase());

    await expect(other).rejects.toThrow(/choose another --job$/);
  });
});
