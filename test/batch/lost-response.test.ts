import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BACKGROUND_TIMEOUTS } from '../../shared/storage/azure/storage-timeouts.ts';
import type { BlobContainer } from '../../shared/storage/blob-container.ts';
import { createAzureBlobContainer } from '../../shared/storage/azure/azure-blob-container.ts';
import { type BatchStore, createBlobBatchStore } from '../../shared/batch/storage/batch-store.ts';
import { successLine } from '../../shared/batch/model/item.ts';
import type { ShardLease } from '../../shared/batch/storage/shard-lease.ts';
import { RESULT_CONTAINER } from '../../shared/batch/storage-names.ts';
import { systemClock } from '../../shared/clock.ts';
import { noopTelemetry } from '../../shared/telemetry/create-telemetry.ts';
import { startBreakProxy, type BreakProxy } from '../support/batch/break-proxy.ts';
import {
  startStorageEnvironment,
  type StorageEnvironment,
} from '../support/batch/storage-environment.ts';

let environment: StorageEnvironment;
let proxy: BreakProxy;
let store: BatchStore;
let container: BlobContainer;
/** Parts of `METHOD path?query` whose next response is lost. */
let losing: string[] = [];

beforeAll(async () => {
  environment = await startStorageEnvironment();
  proxy = await startBreakProxy({
    targetPort: environment.blobPort,
    breaks: ({ method, url }) => {
      const at = losing.findIndex((part) => `${method} ${url}`.includes(part));
      if (at !== -1) losing = losing.toSpliced(at, 1);
      return at === -1 ? undefined : 'lost';
    },
  });
  const connectionString = environment.connectionString.replace(
    `:${environment.blobPort}/`,
    `:${proxy.port}/`,
  );
  container = createAzureBlobContainer({
    connection: { kind: 'connectionString', connectionString },
    container: RESULT_CONTAINER,
    telemetry: noopTelemetry,
    renewEveryMs: 50,
  });
  store = createBlobBatchStore({
    container,
    clock: systemClock,
    telemetry: noopTelemetry,
  });
});

afterAll(async () => {
  await proxy.close();
  await environment.stop();
});

async function open(jobId: string): Promise<ShardLease> {
  const lease = await store.acquireShard({
    id: jobId,
    shard: 0,
    total: 1,
    digest: 'd',
    generation: 0,
  });
  if (typeof lease === 'string') throw new Error(`Cannot open ${jobId}: ${lease}`);
  return lease;
}

function countOf(part: string): number {
  return proxy.passed.filter((line) => line.includes(part)).length;
}

describe('a response of storage that is lost', () => {
  it('Q11: leaves one line in the journal although the client repeats the append', async () => {
    const lease = await open('append');
    const line = successLine({ jobId: 'append', index: 0, customId: 'id-hi' }, 'r', { text: 'hi' });
    const before = countOf('comp=appendblock');
    losing = ['comp=appendblock'];

    await lease.append({ type: 'result', index: 0, line });
    await lease.append({ type: 'closed' });

    await lease.release();
    const lines = (await environment.journalText('append')).trimEnd().split('\n');
    expect(lines.map((text) => text.slice(0, 15))).toEqual([
      '{"type":"job","',
      '{"type":"result',
      '{"type":"closed',
    ]);
    // The first, its repeat, and the line after them.
    expect(countOf('comp=appendblock') - before).toBe(3);
  });

  it('Q11: creates the job once when the response to its first line is lost', async () => {
    losing = ['comp=appendblock'];

    const lease = await open('begin');

    await lease.release();
    expect((await environment.journalText('begin')).match(/"type":"job"/g)).toHaveLength(1);
  });

  it('opens the job when the responses to its creation and its lease are lost', async () => {
    losing = ['PUT /devstoreaccount1/batch-results/lease/shard-00000.journal.jsonl?comp=lease'];
    await (await open('lease')).release();
    expect(losing).toEqual([]);
    losing = ['PUT /devstoreaccount1/batch-results/create/shard-00000.journal.jsonl'];
    await (await open('create')).release();
    expect(losing).toEqual([]);
  });

  it('releases the job when its journal cannot be read', async () => {
    await (await open('unread')).release();
    losing = Array.from(
      { length: BACKGROUND_TIMEOUTS.retryOptions.maxTries },
      () => 'HEAD /devstoreaccount1/batch-results/unread',
    );

    await expect(open('unread')).rejects.toThrow();

    await (await open('unread')).release();
  });

  it('acquires a lease once when the response that granted it is lost', async () => {
    await (await open('granted')).release();
    losing = ['granted/shard-00000.journal.jsonl?comp=lease'];

    const lease = await open('granted');

    await lease.append({ type: 'closed' });
    await lease.release();
    expect((await environment.journalText('granted')).trimEnd().split('\n')).toHaveLength(2);
  });
});

describe('a conditional write whose answer is lost', () => {
  it('F16: is a success when its repeat finds what it wrote', async () => {
    losing = ['PUT /devstoreaccount1/batch-results/text.json', 'comp=blocklist'];
    async function* chunks() {
      yield Buffer.from('line 1\n');
      yield Buffer.from('line 2\n');
    }

    const outcomes = [
      await container.create('text.json', { content: 'text' }),
      await container.create('stream.jsonl', { content: chunks() }),
    ];

    expect(losing).toEqual([]);
    expect(outcomes).toEqual([true, true]);
  });

  it('F16: is not a success where another writer was faster', async () => {
    await container.create('taken.json', { content: 'first' });
    losing = ['PUT /devstoreaccount1/batch-results/taken.json'];

    const created = await container.create('taken.json', { content: 'second' });
    const version = (await container.read('taken.json'))?.version ?? '';
    losing = ['PUT /devstoreaccount1/batch-results/taken.json'];
    const replaced = await container.replace('taken.json', { content: 'third', version });
    const late = await container.replace('taken.json', { content: 'fourth', version });

    expect([created, replaced, late]).toEqual([false, true, false]);
    expect((await container.read('taken.json'))?.text).toBe('third');
  });
});

describe('the renewal of a lease', () => {
  it('runs in the background and ends with the release', async () => {
    const lease = await open('renewed');
    const renewals = (): number => countOf('renewed/shard-00000.journal.jsonl?comp=lease');
    const before = renewals();

    await expect.poll(() => renewals()).toBeGreaterThan(before + 2);

    await lease.release();
    const after = renewals();
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(renewals()).toBe(after);
  });

  it('may fail a few times without losing the lease', async () => {
    const lease = await open('shaky');
    const renewals = (): number => countOf('shaky/shard-00000.journal.jsonl?comp=lease');
    // As many as the client retries, so that the renewal fails.
    losing = Array.from({ length: 4 }, () => 'shaky/shard-00000.journal.jsonl?comp=lease');
    await expect.poll(() => losing).toEqual([]);
    const before = renewals();

    await expect.poll(() => renewals()).toBeGreaterThan(before + 1);

    expect(lease.lostSignal.aborted).toBe(false);
    await lease.append({ type: 'closed' });
    await lease.release();
  });
});
