import {
  type BatchStore,
  createBlobBatchStore,
} from '../../../shared/batch/storage/batch-store.ts';
import { blobPaths } from '../../../shared/batch/storage/blob-paths.ts';
import type { JournalEntry } from '../../../shared/batch/storage/journal.ts';
import { noopTelemetry } from '../../../shared/telemetry/create-telemetry.ts';
import { createMemoryContainer, type MemoryContainer } from './memory-container.ts';
import { parseLines, readJob, type JobResults } from './read-job.ts';

export interface MemoryStore extends BatchStore {
  readonly container: MemoryContainer;
  deadLetters(): unknown[];
  read(jobId: string, shard?: number): Promise<JobResults | undefined>;
  /** Every line of a journal, in order. */
  entries(jobId: string, shard?: number): JournalEntry[];
  /** Writes lines as an earlier delivery would have. */
  write(jobId: string, entries: readonly JournalEntry[]): void;
  loseLease(jobId: string): void;
  isLeased(jobId: string): boolean;
  breakWith(error: Error | undefined): void;
}

/** The real store on blobs in memory. */
export function createMemoryStore(now = () => 0): MemoryStore {
  const container = createMemoryContainer();
  const textOf = (jobId: string, shard = 0): string =>
    container.blobs.get(blobPaths.journal(jobId, shard))?.content.toString('utf8') ?? '';
  return {
    ...createBlobBatchStore({ container: container, clock: { now }, telemetry: noopTelemetry }),
    container,
    deadLetters: () =>
      [...container.blobs]
        .filter(([name]) => name.startsWith('_dead-letters/'))
        .map(([, { content }]): unknown => JSON.parse(content.toString('utf8'))),
    read: (jobId, shard) => readJob(container, jobId, shard),
    entries: (jobId, shard) => parseLines(textOf(jobId, shard)),
    write(jobId, entries) {
      const lines = entries.map((entry) => `${JSON.stringify(entry)}\n`).join('');
      container.put(blobPaths.journal(jobId, 0), textOf(jobId) + lines);
    },
    loseLease: (jobId) => container.loseLease(blobPaths.journal(jobId, 0)),
    isLeased: (jobId) => container.isLeased(blobPaths.journal(jobId, 0)),
    breakWith: (error) => container.breakWith(error),
  };
}
