import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createAzureBlobContainer } from '../../shared/storage/azure/azure-blob-container.ts';
import { type BatchStore, createBlobBatchStore } from '../../shared/batch/storage/batch-store.ts';
import { blobPaths } from '../../shared/batch/storage/blob-paths.ts';
import { digestOf, type InlineJob } from '../../shared/batch/model/job-message.ts';
import type { JournalEntry } from '../../shared/batch/storage/journal.ts';
import { successLine } from '../../shared/batch/model/item.ts';
import type { ShardLease } from '../../shared/batch/storage/shard-lease.ts';
import { RESULT_CONTAINER } from '../../shared/batch/storage-names.ts';
import { systemClock } from '../../shared/clock.ts';
import { noopTelemetry } from '../../shared/telemetry/create-telemetry.ts';
import type { Telemetry } from '../../shared/telemetry/telemetry.ts';
import { jobOf, messages } from '../support/batch/jobs.ts';
import { readJob, type JobResults } from '../support/batch/read-job.ts';
import { createRecordedTelemetry } from '../support/recorded-telemetry.ts';
import {
  startStorageEnvironment,
  type StorageEnvironment,
} from '../support/batch/storage-environment.ts';

let environment: StorageEnvironment;
let store: BatchStore;

beforeAll(async () => {
  environment = await startStorageEnvironment();
  store = storeWith();
});

afterAll(() => environment.stop());

function areaWith(options: { renewEveryMs?: number; telemetry?: Telemetry } = {}) {
  const { connection } = environment;
  return createAzureBlobContainer({
    connection,
    container: RESULT_CONTAINER,
    telemetry: noopTelemetry,
    ...options,
  });
}

function storeWith(options: { renewEveryMs?: number; telemetry?: Telemetry } = {}): BatchStore {
  const { telemetry = noopTelemetry } = options;
  return createBlobBatchStore({ container: areaWith(options), clock: systemClock, telemetry });
}

function refOf({ jobId, items }: InlineJob) {
  return { id: jobId, shard: 0, total: items.length, digest: digestOf(items), generation: 0 };
}

async function mustOpen(job: InlineJob, from = store): Promise<ShardLease> {
  const lease = await from.acquireShard(refOf(job));
  if (typeof lease === 'string') throw new Error(`Cannot open ${job.jobId}: ${lease}`);
  return lease;
}

function read(jobId: string): Promise<JobResults | undefined> {
  return readJob(areaWith(), jobId);
}

function resultOf(jobId: string, index: number): JournalEntry {
  const place = { jobId, index, customId: `id-m${index}` };
  return { type: 'result', index, line: successLine(place, 'r', { response: `größe ${index}` }) };
}

function journalBlob(jobId: string) {
  return environment.results.getAppendBlobClient(blobPaths.journal(jobId, 0));
}

describe('a journal in blob storage', () => {
  it('begins with the identity of the job and has one line for each entry', async () => {
    const job = jobOf('begins', messages(2));
    const lease = await mustOpen(job);
    await lease.append(resultOf('begins', 0));
    await lease.release();

    const lines = (await environment.journalText('begins')).trimEnd().split('\n');
    expect(lines.map((line): unknown => JSON.parse(line))).toEqual([
      { type: 'job', digest: digestOf(job.items), total: 2, createdAt: expect.any(String) },
      resultOf('begins', 0),
    ]);
    const { contentType } = await journalBlob('begins').getProperties();
    expect(contentType).toBe('application/x-ndjson');
  });

  it('Q3: shows the next delivery which items are done', async () => {
    const job = jobOf('resumes', messages(3));
    const first = await mustOpen(job);
    await Promise.all([0, 2].map((index) => first.append(resultOf('resumes', index))));
    await first.release();

    const second = await mustOpen(job);

    expect([...second.view.results.keys()]).toEqual([0, 2]);
    await second.append(resultOf('resumes', 1));
    await second.release();
    expect((await read('resumes'))?.results.size).toBe(3);
  });

  it('Q9: is leased by one delivery at a time, and can be leased again after its release', async () => {
    const job = jobOf('held', messages(1));
    const lease = await mustOpen(job);

    const meanwhile = await store.acquireShard(refOf(job));

    expect(meanwhile).toBe('busy');
    await lease.release();
    await (await mustOpen(job)).release();
  });

  it('Q9: is created by one of many concurrent deliveries', async () => {
    const job = jobOf('raced', messages(1));

    const outcomes = await Promise.all(
      Array.from({ length: 8 }, () => store.acquireShard(refOf(job))),
    );

    expect(outcomes.filter((outcome) => outcome === 'busy')).toHaveLength(7);
    expect((await environment.journalText('raced')).match(/"type":"job"/g)).toHaveLength(1);
  });

  it('writes the first line of a journal that a crash left empty', async () => {
    await journalBlob('empty').create();
    expect(await read('empty')).toBeUndefined();

    const lease = await mustOpen(jobOf('empty', messages(1)));

    expect(lease.view.results.size).toBe(0);
    await lease.release();
    expect((await read('empty'))?.total).toBe(1);
  });

  it('appends after an incomplete line on a new line and logs it', async () => {
    const job = jobOf('torn', messages(2));
    const first = await mustOpen(job);
    await first.append(resultOf('torn', 0));
    await first.release();
    await journalBlob('torn').appendBlock('{"type":"res', 12);
    const telemetry = createRecordedTelemetry();
    const telling = storeWith({ telemetry });

    const second = await mustOpen(job, telling);
    await second.append(resultOf('torn', 1));
    await second.release();

    expect([...((await read('torn'))?.results.keys() ?? [])]).toEqual([0, 1]);
    expect(telemetry.lines).toContainEqual({
      level: 'error',
      message: 'batch journal has invalid lines',
      fields: { jobId: 'torn', shard: 0, count: 1 },
    });
  });

  it('keeps the results of a journal without its first line', async () => {
    const job = jobOf('headless', messages(2));
    const line = `${JSON.stringify(resultOf('headless', 1))}\n`;
    await journalBlob('headless').create();
    await journalBlob('headless').appendBlock(line, Buffer.byteLength(line));

    const lease = await mustOpen(job);

    expect([...lease.view.results.keys()]).toEqual([1]);
    await lease.release();
  });

  it('appends lines larger than one write, and many at once', async () => {
    const job = jobOf('large', messages(30));
    const lease = await mustOpen(job);
    const place = { jobId: 'large', index: 0, customId: null };
    const body = { response: 'ä'.repeat(500_000) };

    await Promise.all([
      lease.append({ type: 'result', index: 0, line: successLine(place, 'r', body) }),
      ...Array.from({ length: 29 }, (_value, at) => lease.append(resultOf('large', at + 1))),
    ]);

    await lease.release();
    const view = await read('large');
    expect([...(view?.results.keys() ?? [])]).toEqual([...Array(30).keys()]);
    expect(view?.results.get(0)?.response?.body).toEqual(body);
  });
});

describe('a lease in blob storage', () => {
  it('Q9: aborts and rejects appends after another delivery leased the job', async () => {
    const job = jobOf('stolen', messages(2));
    const lease = await mustOpen(job, storeWith({ renewEveryMs: 50 }));
    await journalBlob('stolen').getBlobLeaseClient().breakLease(0);
    const other = await mustOpen(job);
    await other.append(resultOf('stolen', 1));

    await expect.poll(() => lease.lostSignal.aborted).toBe(true);

    await expect(lease.append(resultOf('stolen', 0))).rejects.toThrow();
    await lease.release();
    expect(other.lostSignal.aborted).toBe(false);
    await other.append(resultOf('stolen', 0));
    await other.release();
    expect((await environment.journalText('stolen')).trimEnd().split('\n')).toHaveLength(3);
  });

  it('Q9: is lost as soon as an append is refused', async () => {
    const job = jobOf('unaware', messages(1));
    const lease = await mustOpen(job);
    await journalBlob('unaware').getBlobLeaseClient().breakLease(0);

    const append = lease.append(resultOf('unaware', 0));

    await expect(append).rejects.toThrow();
    expect(lease.lostSignal.aborted).toBe(true);
    await lease.release();
    expect((await read('unaware'))?.results.size).toBe(0);
  });
});

describe('the result store', () => {
  it.each(['never-begun', '', '..', '../begins', 'a/b', '_dead-letters'])(
    'finds no job %j',
    async (jobId) => {
      expect(await store.find(jobId)).toBeUndefined();
    },
  );

  it('Q1: stores each dead letter as a file, whatever the message is', async () => {
    const deep: unknown = JSON.parse(`${'['.repeat(20_000)}${']'.repeat(20_000)}`);
    const letters = ['text \ud800', undefined, { v: 2 }, 'x'.repeat(200_000), deep];

    for (const message of letters) await store.recordDeadLetter({ reason: 'because', message });

    const kept: string[] = [];
    for await (const blob of environment.results.listBlobsFlat({ prefix: '_dead-letters/' })) {
      const text = await environment.results.getBlobClient(blob.name).downloadToBuffer();
      kept.push(text.toString('utf8'));
      expect(blob.name).toMatch(/^_dead-letters\/\d{4}-\d\d-\d\d\/[0-9a-f-]{36}\.json$/);
    }
    const read = kept.map((text): unknown => JSON.parse(text));
    expect(read).toHaveLength(letters.length);
    expect(read).toContainEqual({ reason: 'because', at: expect.any(String), message: '{"v":2}' });
    expect(Math.max(...kept.map((text) => text.length))).toBeLessThan(110_000);
  });

  it('answers a ping, and rejects it when storage is unreachable', async () => {
    await store.ping(AbortSignal.timeout(5_000));

    await expect(store.ping(AbortSignal.abort())).rejects.toThrow();
  });
});
