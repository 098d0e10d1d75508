import { blobPaths } from '../../../shared/batch/storage/blob-paths.ts';
import type { BlobContainer } from '../../../shared/storage/blob-container.ts';
import { createJournalReader, type JournalEntry } from '../../../shared/batch/storage/journal.ts';
import type { ResultLine } from '../../../shared/batch/model/item.ts';

export interface JobResults {
  readonly total: number;
  /** By the item's place in the shard. */
  readonly results: ReadonlyMap<number, ResultLine>;
}

/** What one shard of a job has, as it is stored; undefined before it was begun. */
export async function readJob(
  container: BlobContainer,
  jobId: string,
  shard = 0,
): Promise<JobResults | undefined> {
  const found = await container.read(blobPaths.journal(jobId, shard));
  return found === undefined ? undefined : resultsIn(found.text);
}

/** The results that count in the text of a journal. */
export function resultsIn(text: string): JobResults | undefined {
  const reader = createJournalReader();
  const results = new Map<number, ResultLine>();
  let total: number | undefined;
  for (const line of text.split('\n')) {
    const entry = reader.add(line);
    if (entry?.type === 'job') total ??= entry.total;
    if (entry?.type === 'result') results.set(entry.index, entry.line);
  }
  return total === undefined ? undefined : { total, results };
}

export function parseLines(text: string): JournalEntry[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line): JournalEntry => JSON.parse(line));
}
