import { describe, expect, it } from 'vitest';
import { failureLine, successLine } from '../../../../shared/batch/model/item.ts';
import { readResults } from '../../../../shared/batch/storage/batch-progress.ts';
import type { JournalEntry } from '../../../../shared/batch/storage/journal.ts';
import {
  acquireShardLease,
  type ShardLease,
} from '../../../../shared/batch/storage/shard-lease.ts';
import { noopTelemetry } from '../../../../shared/telemetry/create-telemetry.ts';
import {
  createMemoryContainer,
  type MemoryContainer,
} from '../../../support/batch/memory-container.ts';

const TOTAL = 12;

async function open(container: MemoryContainer, generation = 0): Promise<ShardLease> {
  const lease = await acquireShardLease(
    { id: 'job', shard: 0, total: TOTAL, digest: 'd', generation },
    { container, clock: { now: () => 0 }, telemetry: noopTelemetry, maxAppends: 4 },
  );
  if (lease === 'busy') throw new Error('Cannot open the journal: its lease is busy');
  return lease;
}

function resultOf(index: number, isFailed = false): JournalEntry {
  const place = { jobId: 'job', index, customId: `c${index}` };
  const line = isFailed
    ? failureLine(place, 'exhausted', 'no result')
    : successLine(place, 'r', { text: `answer ${index}` });
  return { type: 'result', index, line };
}

async function customIds(container: MemoryContainer, kind: 'succeeded' | 'failed') {
  const lines = await Array.fromAsync(readResults(container, { id: 'job', kind }));
  return lines.map((line): unknown => JSON.parse(line).custom_id);
}

const blobNames = (container: MemoryContainer) => [...container.blobs.keys()];

describe('a journal with many appends (F15)', () => {
  it('has each result once over all of its parts', async () => {
    const container = createMemoryContainer();
    const first = await open(container);
    for (let index = 0; index < 6; index += 1) await first.append(resultOf(index));
    await first.release();

    const second = await open(container);
    for (let index = 6; index < TOTAL; index += 1) await second.append(resultOf(index));
    await second.finish();
    await second.release();

    const expected = Array.from({ length: TOTAL }, (_, index) => `c${index}`);
    expect(await customIds(container, 'succeeded')).toEqual(expected);
    expect(second.view.results.size).toBe(TOTAL);
    expect(blobNames(container).filter((name) => name.includes('.part-')).length).toBeGreaterThan(
      1,
    );
  });

  it('keeps its lines when the process ends between the part and the empty blob', async () => {
    const container = createMemoryContainer();
    const lease = await open(container);
    for (let index = 0; index < 3; index += 1) await lease.append(resultOf(index));
    const create = container.create.bind(container);
    container.create = async (name, blob) => {
      await create(name, blob);
      throw new Error('the process ended');
    };
    await expect(lease.append(resultOf(3))).rejects.toThrow('the process ended');
    await lease.release();
    container.create = create;

    const next = await open(container);
    for (const index of [3, 4]) await next.append(resultOf(index));
    await next.release();

    expect(await customIds(container, 'succeeded')).toEqual(['c0', 'c1', 'c2', 'c3', 'c4']);
  });

  it('reopens the failed items of earlier parts', async () => {
    const container = createMemoryContainer();
    const first = await open(container);
    for (let index = 0; index < 6; index += 1) await first.append(resultOf(index, index === 1));
    await first.release();

    const retry = await open(container, 1);
    await retry.append(resultOf(1));
    await retry.release();

    expect(await customIds(container, 'failed')).toEqual([]);
    expect(new Set(await customIds(container, 'succeeded'))).toEqual(
      new Set(Array.from({ length: 6 }, (_, index) => `c${index}`)),
    );
  });

  it('goes on when storage refuses an append as one too many', async () => {
    const container = createMemoryContainer();
    container.limitAppends(2);
    const lease = await open(container);

    for (let index = 0; index < 5; index += 1) await lease.append(resultOf(index));
    await lease.release();

    expect(await customIds(container, 'succeeded')).toHaveLength(5);
  });
});
