import { QueueClient } from '@azure/storage-queue';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import OpenAI, { InternalServerError, toFile } from 'openai';
import { z } from 'zod';
import { startBreakProxy, type Breakage } from '../support/batch/break-proxy.ts';
import { POISON_QUEUE } from '../../shared/batch/storage-names.ts';
import { itemOf, jobOf, messages } from '../support/batch/jobs.ts';
import {
  startStorageEnvironment,
  type StorageEnvironment,
} from '../support/batch/storage-environment.ts';
import { buildIfStale } from '../../dev/faults/fault-environment.ts';
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

/** The built app whose requests to blobs go through a proxy that breaks them on demand. */
interface Scene {
  readonly storage: StorageEnvironment;
  readonly environment: TestEnvironment;
  readonly client: OpenAI;
  /** How requests to blobs go wrong from now on, by their path. */
  breakBlobs(how: (path: string) => Breakage | undefined): void;
  heal(): void;
  stop(): Promise<void>;
}

async function startScene(): Promise<Scene> {
  let breakage: (path: string) => Breakage | undefined = () => undefined;
  const storage = await startStorageEnvironment();
  const { blobPort: targetPort, connectionString } = storage;
  const proxy = await startBreakProxy({ targetPort, breaks: ({ url = '' }) => breakage(url) });
  const environment = await startEnvironment({
    model: 'dev/instant',
    settings: {
      AzureWebJobsStorage: connectionString.replace(`:${targetPort}/`, `:${proxy.port}/`),
      // Storage gets a sixth of it for each call.
      AGENT__LIMITS__ANSWER_DEADLINE_MS: '9000',
      // The test reads its queue job over HTTP.
      AGENT__BATCH__QUEUE_OWNER: 'address:unknown',
      // host.json waits 20 s before it delivers a message again.
      AzureFunctionsJobHost__extensions__queues__visibilityTimeout: '00:00:03',
    },
  });
  return {
    storage,
    environment,
    client: new OpenAI({ baseURL: `${environment.url}/v1`, apiKey: 'unused', maxRetries: 0 }),
    breakBlobs: (how) => void (breakage = how),
    heal: () => void (breakage = () => undefined),
    async stop() {
      await environment.stop();
      await proxy.close();
      await storage.stop();
    },
  };
}

async function upload({ client }: Scene, count: number, more = ''): Promise<string> {
  const lines = messages(count).map((message) => `${JSON.stringify(itemOf(message))}\n`);
  const file = await toFile(Buffer.from(lines.join('') + more), 'in.jsonl');
  return (await client.files.create({ file, purpose: 'batch' })).id;
}

function create({ client }: Scene, fileId: string) {
  return client.batches.create({
    input_file_id: fileId,
    endpoint: '/v1/chat/completions',
    completion_window: '24h',
  });
}

async function ready({ environment }: Scene) {
  return readySchema.parse(await (await fetch(`${environment.url}/ready`)).json());
}

beforeAll(buildIfStale);

describe.concurrent('while the storage of batches is away', () => {
  it.for([
    ['refuses connections', 'refused'],
    ['is silent', 'silent'],
    ['is busy', { status: 503, code: 'ServerBusy' }],
  ] as const)(
    'and %s, clients get an error to repeat, and chat goes on',
    async ([, how], { onTestFinished }) => {
      const scene = await startScene();
      onTestFinished(() => scene.stop());
      const { client, environment } = scene;
      const fileId = await upload(scene, 3);
      const before = environment.log.length;
      scene.breakBlobs(() => how);

      const failures = await Promise.all(
        [
          upload(scene, 3),
          create(scene, fileId),
          client.batches.list(),
          client.files.retrieve(fileId),
          client.files.content(fileId),
        ].map((asked) => Promise.resolve(asked).catch((error: unknown) => error)),
      );
      const chat = await postChat(environment.url, { message: 'Hi' });
      await eventually(
        'readiness knows',
        async () => (await ready(scene)).batch.status === 'unready',
      );
      const report = await ready(scene);

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

      scene.heal();
      const batch = await create(scene, fileId);
      await eventually('the batch has ended', async () => {
        return (await client.batches.retrieve(batch.id)).status === 'completed';
      });
      await eventually('readiness is back', async () => (await ready(scene)).status === 'ready');
    },
  );
});

describe('while requests to the storage of batches fail', () => {
  let scene: Scene;
  beforeAll(async () => {
    scene = await startScene();
  });
  afterEach(() => scene.heal());
  afterAll(() => scene.stop());

  it('the results so far are no whole file when they break off', async () => {
    const slow = JSON.stringify(itemOf('dev/slow-500000 Hi', 'slow'));
    const batch = await create(scene, await upload(scene, 900, `${slow}\n`));
    await eventually('there are results', async () => {
      const { request_counts: counts } = await scene.client.batches.retrieve(batch.id);
      return (counts?.completed ?? 0) > 0;
    });
    scene.breakBlobs((path) =>
      /shard-\d+\.journal\.jsonl(?:$|\?timeout)/.test(path) ? 'stuck' : undefined,
    );

    const output = `file-${batch.id}-output-0`;
    const response = await fetch(`${scene.environment.url}/v1/files/${output}/content`);
    const reading = response.text();

    expect([response.status, response.headers.get('content-length')]).toEqual([200, null]);
    await expect(reading).rejects.toThrow();
    scene.heal();
    await scene.client.batches.cancel(batch.id);
  });

  it('a file that breaks off is no whole one', async () => {
    const fileId = await upload(scene, 20_000);
    const isContent = (path: string): boolean => path.includes(fileId);
    let looks = 0;
    // The first look is whether there is such a file.
    scene.breakBlobs((path) => (isContent(path) && (looks += 1) > 1 ? 'cut' : undefined));

    const response = await fetch(`${scene.environment.url}/v1/files/${fileId}/content`);
    const reading = response.text();

    expect(response.status).toBe(200);
    await expect(reading).rejects.toThrow();
  });

  it('Q11: a job comes again, is logged in one line by its code, and is finished later', async () => {
    const fileId = await upload(scene, 3);
    const before = scene.environment.log.length;
    scene.breakBlobs((path) =>
      path.includes('/shard-') ? { status: 500, code: 'InternalError' } : undefined,
    );

    const { id } = await create(scene, fileId);
    const told = (): string[] =>
      scene.environment.log.slice(before).filter((line) => line.includes('batch delivery failed'));
    await eventually('a delivery has failed', () => told().length > 0);
    scene.heal();

    const isOver = async () => (await scene.client.batches.retrieve(id)).status === 'completed';
    await eventually('the batch has ended', isOver, 60_000);
    const [line = ''] = told();
    expect(line).toMatch(/storage_unavailable.*InternalError 500/);
    expect(scene.environment.log.slice(before).join('\n')).not.toMatch(
      /devstoreaccount1|words of storage/,
    );
  }, 90_000);

  it('Q12: a poison message comes back unexplained, and its job is finished later', async () => {
    const job = jobOf('given-up', messages(3));
    const poison = new QueueClient(scene.storage.connectionString, POISON_QUEUE);
    const before = scene.environment.log.length;
    scene.breakBlobs(() => ({ status: 503, code: 'ServerBusy' }));

    await poison.createIfNotExists();
    await poison.sendMessage(JSON.stringify(job));
    await eventually(
      'it was handed back',
      () =>
        scene.environment.log
          .slice(before)
          .some((line) => line.includes('batch poison message requeued')),
      30_000,
    );
    scene.heal();

    const isOver = async () =>
      (await scene.client.batches.retrieve('given-up')).status === 'completed';
    await eventually('the batch has ended', () => isOver().catch(() => false), 60_000);
    const { request_counts: counts } = await scene.client.batches.retrieve('given-up');
    expect(counts).toEqual({ total: 3, completed: 3, failed: 0 });
    expect((await poison.getProperties()).approximateMessagesCount).toBe(0);
  }, 120_000);
});
