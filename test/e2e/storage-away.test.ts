import { QueueClient } from '@azure/storage-queue';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import OpenAI, { InternalServerError, toFile } from 'openai';
import { z } from 'zod';
import { startBreakProxy, type Breakage, type BreakProxy } from '../support/batch/break-proxy.ts';
import { POISON_QUEUE } from '../../shared/batch/storage-names.ts';
import { itemOf, jobOf, messages } from '../support/batch/jobs.ts';
import {
  startStorageEnvironment,
  type StorageEnvironment,
} from '../support/batch/storage-environment.ts';
import { eventually, postChat } from './support/post-chat.ts';
import { startEnvironment, type TestEnvironment } from './support/start-environment.ts';

const readySchema = z.object({
  status: z.string(),
  batch: z.object({
    status: z.string(),
    code: z.string().optional(),
    reason: z.string().optional(),
  }),
});

let storage: StorageEnvironment;
let proxy: BreakProxy;
let environment: TestEnvironment;
let client: OpenAI;
/** How requests to blobs go wrong at the moment. */
let breakage: (path: string) => Breakage | undefined = () => undefined;

beforeAll(async () => {
  storage = await startStorageEnvironment();
  const { blobPort: targetPort, connectionString } = storage;
  proxy = await startBreakProxy({ targetPort, breaks: ({ url = '' }) => breakage(url) });
  environment = await startEnvironment({
    model: 'dev/instant',
    settings: {
      AzureWebJobsStorage: connectionString.replace(`:${targetPort}/`, `:${proxy.port}/`),
      // Storage gets a sixth of it for each call.
      AGENT__LIMITS__ANSWER_DEADLINE_MS: '9000',
    },
  });
  client = new OpenAI({ baseURL: `${environment.url}/v1`, apiKey: 'unused', maxRetries: 0 });
});
afterEach(() => {
  breakage = () => undefined;
});
afterAll(async () => {
  await environment.stop();
  await proxy.close();
  await storage.stop();
});

async function upload(count: number, more = ''): Promise<string> {
  const lines = messages(count).map((message) => `${JSON.stringify(itemOf(message))}\n`);
  const file = await toFile(Buffer.from(lines.join('') + more), 'in.jsonl');
  return (await client.files.create({ file, purpose: 'batch' })).id;
}

function create(fileId: string) {
  return client.batches.create({
    input_file_id: fileId,
    endpoint: '/v1/chat/completions',
    completion_window: '24h',
  });
}

async function ready() {
  return readySchema.parse(await (await fetch(`${environment.url}/ready`)).json());
}

describe('while the storage of batches is away', () => {
  it.each([
    ['refuses connections', 'refused'],
    ['is silent', 'silent'],
    ['is busy', { status: 503, code: 'ServerBusy' }],
  ] as const)(
    'and %s, clients get an error to repeat, and chat goes on',
    async (...testCase) => {
      const [, how] = testCase;
      const fileId = await upload(3);
      const before = environment.log.length;
      breakage = () => how;

      const failures = await Promise.all(
        [
          upload(3),
          create(fileId),
          client.batches.list(),
          client.files.retrieve(fileId),
          client.files.content(fileId),
        ].map((asked) => Promise.resolve(asked).catch((error: unknown) => error)),
      );
      const chat = await postChat(environment.url, { message: 'Hi' });
      await eventually('readiness knows', async () => (await ready()).batch.status === 'unready');
      const report = await ready();

      for (const failure of failures) {
        expect(failure).toBeInstanceOf(InternalServerError);
        expect(failure).toMatchObject({ status: 503, code: 'storage_unavailable' });
      }
      expect(chat.status).toBe(200);
      expect(report.status).toBe('degraded');
      expect(JSON.stringify(report.batch)).not.toMatch(/127\.0\.0\.1|devstore/);
      expect(environment.log.slice(before).join('\n')).not.toMatch(
        /devstoreaccount1|words of storage/,
      );

      breakage = () => undefined;
      const batch = await create(fileId);
      await eventually('the batch has ended', async () => {
        return (await client.batches.retrieve(batch.id)).status === 'completed';
      });
      await eventually('readiness is back', async () => (await ready()).status === 'ready');
    },
    60_000,
  );

  it('the results so far are no whole file when they break off', async () => {
    const slow = JSON.stringify(itemOf('dev/slow-500000 Hi', 'slow'));
    const batch = await create(await upload(900, `${slow}\n`));
    await eventually('there are results', async () => {
      const { request_counts: counts } = await client.batches.retrieve(batch.id);
      return (counts?.completed ?? 0) > 0;
    });
    breakage = (path) =>
      /shard-\d+\.journal\.jsonl(?:$|\?timeout)/.test(path) ? 'stuck' : undefined;

    const output = `file-${batch.id}-output-0`;
    const response = await fetch(`${environment.url}/v1/files/${output}/content`);
    const reading = response.text();

    expect([response.status, response.headers.get('content-length')]).toEqual([200, null]);
    await expect(reading).rejects.toThrow();
    breakage = () => undefined;
    await client.batches.cancel(batch.id);
  });

  it('a file that breaks off is no whole one', async () => {
    const fileId = await upload(20_000);
    const isContent = (path: string): boolean => path.includes(fileId);
    let looks = 0;
    // The first look is whether there is such a file.
    breakage = (path) => (isContent(path) && (looks += 1) > 1 ? 'cut' : undefined);

    const response = await fetch(`${environment.url}/v1/files/${fileId}/content`);
    const reading = response.text();

    expect(response.status).toBe(200);
    await expect(reading).rejects.toThrow();
  });
});

describe('a job on the queue while storage fails', () => {
  it('Q11: comes again, is told in one line by its code, and is finished later', async () => {
    const fileId = await upload(3);
    const before = environment.log.length;
    breakage = (path) =>
      path.includes('/shard-') ? { status: 500, code: 'InternalError' } : undefined;

    const { id } = await create(fileId);
    const told = (): string[] =>
      environment.log.slice(before).filter((line) => line.includes('batch delivery failed'));
    await eventually('a delivery has failed', () => told().length > 0);
    breakage = () => undefined;

    const isOver = async () => (await client.batches.retrieve(id)).status === 'completed';
    await eventually('the batch has ended', isOver, 60_000);
    const [line = ''] = told();
    expect(line).toMatch(/storage_unavailable.*InternalError 500/);
    expect(environment.log.slice(before).join('\n')).not.toMatch(
      /devstoreaccount1|words of storage/,
    );
  }, 90_000);

  it('Q12: comes back when nobody can say what became of it, and is finished later', async () => {
    const job = jobOf('given-up', messages(3));
    const poison = new QueueClient(storage.connectionString, POISON_QUEUE);
    const before = environment.log.length;
    breakage = () => ({ status: 503, code: 'ServerBusy' });

    await poison.createIfNotExists();
    await poison.sendMessage(JSON.stringify(job));
    await eventually(
      'it was handed back',
      () =>
        environment.log
          .slice(before)
          .some((line) => line.includes('batch poison message requeued')),
      30_000,
    );
    breakage = () => undefined;

    const isOver = async () => (await client.batches.retrieve('given-up')).status === 'completed';
    await eventually('the batch has ended', () => isOver().catch(() => false), 60_000);
    const { request_counts: counts } = await client.batches.retrieve('given-up');
    expect(counts).toEqual({ total: 3, completed: 3, failed: 0 });
    expect((await poison.getProperties()).approximateMessagesCount).toBe(0);
  }, 120_000);
});
