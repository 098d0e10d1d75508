import { type BatchRecord, COMPLETION_WINDOW_MS } from '../model/batch-record.ts';
import type { BlobContainer } from '../../storage/blob-container.ts';
import { ownerHash } from './blob-paths.ts';

/** The batches that one owner created over HTTP and that have not ended. */
export interface OpenBatches {
  readonly count: number;
  /** Items of all of them. */
  readonly items: number;
}

/** An entry that is older belongs to a batch that ended, or whose creation was interrupted. */
const MAX_AGE_MS = COMPLETION_WINDOW_MS + 60 * 60_000;

function openEntry({ id, owner }: BatchRecord): string {
  return `${listPrefix(owner)}${id}`;
}

function listPrefix(owner: string | null): string {
  return `_open/${ownerHash(owner)}/`;
}

interface NewOpenBatch {
  readonly record: BatchRecord;
  readonly items: number;
  /** Epoch milliseconds. */
  readonly now: number;
}

/**
 * Adds a batch to the open ones of its owner; resolves to all of them. Of several batches that are
 * added at once, each one or the later ones see the others, so none exceeds a limit unseen.
 */
export async function addOpenBatch(
  container: BlobContainer,
  { record, items, now }: NewOpenBatch,
): Promise<OpenBatches> {
  const blob = { content: '', metadata: { items: String(items), created: String(now) } };
  if (!(await container.create(openEntry(record), blob))) {
    await container.remove(openEntry(record));
    await container.create(openEntry(record), blob);
  }
  const open: number[] = [];
  for await (const { metadata } of container.list(listPrefix(record.owner))) {
    if (Number(metadata['created']) + MAX_AGE_MS > now) open.push(Number(metadata['items']));
  }
  return { count: open.length, items: open.reduce((sum, one) => sum + one, 0) };
}

export async function removeOpenBatch(
  container: BlobContainer,
  record: BatchRecord,
): Promise<void> {
  await container.remove(openEntry(record));
}
