import { QueueClient } from '@azure/storage-queue';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { breakLease } from '../support/batch/break-lease.ts';
import { startStorageView, type StorageView } from '../support/batch/storage-view.ts';
import { JOB_QUEUE, POISON_QUEUE } from '../../shared/batch/storage-names.ts';
import { eventually } from './support/post-chat.ts';
import { startEnvironment, type TestEnvironment } from './support/start-environment.ts';

let environment: TestEnvironment;
let batch: StorageView;
beforeAll(async () => {
  environment = await startEnvironment({
    model: 'dev/slow-3000',
    settings: {
      AGENT__BATCH__CONCURRENCY: '4',
      // host.json waits 20 s before it delivers a message again.
      AzureFunctionsJobHost__extensions__queues__visibilityTimeout: '00:00:02',
    },
  });
  batch = startStorageView(environment.connectionString);
});
afterAll(() => environment.stop());
afterEach(() => environment.model.reset());

function jobOf(jobId: string, items: unknown[]) {
  return { v: 1 as const, jobId, items };
}

function itemsOf(count: number): unknown[] {
  return Array.from({ length: count }, (_, n) => ({
    custom_id: `item-${n}`,
    body: { message: `Question ${n}` },
  }));
}

/** The model rejects a parameter of this item. */
const UNSUPPORTED = { seed: 7, messages: [{ role: 'user', content: 'dev/without-seed Hi' }] };

async function isFinished(jobId: string): Promise<boolean> {
  const view = await batch.read(jobId);
  return view !== undefined && view.results.size === view.total;
}

function finishes(jobId: string, withinMs = 60_000): Promise<void> {
  return eventually(`job ${jobId} is finished`, () => isFinished(jobId), withinMs);
}

async function customIds(jobId: string): Promise<(string | null)[]> {
  const view = await batch.read(jobId);
  return [...(view?.results.values() ?? [])].map((line) => line.custom_id);
}

describe('a job on the queue', () => {
  it('ends with one result for each item, good or bad', async () => {
    const items = [
      ...itemsOf(23),
      { custom_id: 'refused', body: { message: 'dev/content-filter Hi' } },
      { custom_id: 'malformed', body: { massage: 'Hi' } },
      { custom_id: 'unsupported', body: UNSUPPORTED },
    ];

    await batch.submit(jobOf('mixed', items));
    await finishes('mixed');

    const view = await batch.read('mixed');
    const lines = [...(view?.results.values() ?? [])];
    const failures = lines.filter(({ error }) => error !== null);
    expect(lines).toHaveLength(26);
    expect(new Set(lines.map((line) => line.custom_id)).size).toBe(26);
    expect(new Map(failures.map((line) => [line.custom_id, line.error?.code]))).toEqual(
      new Map([
        ['malformed', 'invalid_request'],
        ['refused', 'content_filtered'],
        ['unsupported', 'invalid_request'],
      ]),
    );
    expect(failures.map(({ error }) => error?.message).join()).toContain('"seed" is not supported');
  });

  it('may come as base64 of JSON', async () => {
    const queue = new QueueClient(environment.connectionString, JOB_QUEUE);
    const text = JSON.stringify(jobOf('encoded', itemsOf(2)));

    await queue.sendMessage(Buffer.from(text).toString('base64'));
    await finishes('encoded');

    expect(new Set(await customIds('encoded'))).toEqual(new Set(['item-0', 'item-1']));
  });

  it('is answered once however often it is sent (Q3)', async () => {
    await Promise.all(Array.from({ length: 5 }, () => batch.submit(jobOf('repeated', itemsOf(6)))));
    await finishes('repeated');

    expect(environment.model.calls()).toHaveLength(6);
    expect(await customIds('repeated')).toHaveLength(6);
  });

  it('survives a kill of the worker without paying twice for what was finished (Q5)', async () => {
    await batch.submit(jobOf('killed', itemsOf(40)));
    await eventually('a third of the job is done', async () => {
      const view = await batch.read('killed');
      return (view?.results.size ?? 0) >= 12;
    });
    const first = environment.host.workerPid() ?? 0;

    process.kill(first, 'SIGKILL');
    await breakLease(batch.container, 'killed');
    await finishes('killed', 90_000);

    const ids = await customIds('killed');
    expect(environment.host.workerPid()).not.toBe(first);
    expect(ids).toHaveLength(40);
    expect(new Set(ids).size).toBe(40);
    expect(environment.model.calls().length).toBeLessThanOrEqual(40 + 4);
  }, 120_000);

  it('that is no job is kept with its reason and called once (Q1)', async () => {
    const queue = new QueueClient(environment.connectionString, JOB_QUEUE);
    const poison = new QueueClient(environment.connectionString, POISON_QUEUE);
    const before = environment.log.length;

    await queue.sendMessage('neither JSON nor base64!');
    await eventually('the refusal is logged', () =>
      environment.log.slice(before).some((line) => line.includes('batch message rejected')),
    );

    const waiting = await poison.getProperties();
    expect(waiting.approximateMessagesCount).toBe(0);
    expect(environment.model.calls()).toEqual([]);
  });
});
