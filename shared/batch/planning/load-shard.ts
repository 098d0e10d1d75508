import type { BatchStore } from '../storage/batch-store.ts';
import type { BlobContainer } from '../../storage/blob-container.ts';
import { INPUT_DELETED, INVALID_LINE } from '../model/item.ts';
import { MAX_LINE_BYTES } from './plan-input.ts';
import type { BatchRecord, Plan } from '../model/batch-record.ts';
import { readLine, splitLines } from '../model/jsonl.ts';
import { INPUT_CONTAINER } from '../storage-names.ts';

/** The items that one delivery works on. */
export interface Shard {
  readonly id: string;
  readonly shard: number;
  readonly digest: string;
  readonly generation: number;
  /** The place of the first item among all items of the batch. */
  readonly first: number;
  readonly items: readonly unknown[];
  /** Places within the shard. */
  readonly duplicates: ReadonlySet<number>;
}

export interface ShardDependencies {
  readonly store: BatchStore;
  /** The container of input files. */
  readonly inputs: BlobContainer;
}

/** Reads the items of one shard, and of no other; undefined when the batch has no such shard. */
export async function loadShard(
  { record, shard }: { readonly record: BatchRecord; readonly shard: number },
  { store, inputs }: ShardDependencies,
): Promise<Shard | undefined> {
  const plan = await store.plan(record);
  const part = plan?.shards[shard];
  if (part === undefined) return undefined;
  const { id, digest, generation } = record;
  const { first, duplicates } = part;
  const items = record.items ?? (await readItems(inputs, { record, part }));
  return { id, shard, digest, generation, first, items, duplicates: new Set(duplicates) };
}

interface Part {
  readonly record: BatchRecord;
  readonly part: Plan['shards'][number];
}

async function readItems(
  inputs: BlobContainer,
  { record, part }: Part,
): Promise<readonly unknown[]> {
  const chunks = await inputs.stream(inputName(record), part);
  const items: unknown[] = [];
  for await (const { bytes } of splitLines(chunks ?? noChunks(), {
    maxLineBytes: MAX_LINE_BYTES,
  })) {
    const read = bytes === undefined ? 'unreadable' : readLine(bytes);
    if (read === 'blank') continue;
    items.push(read === 'unreadable' ? INVALID_LINE : read.value);
  }
  // The input went away after it was planned: its items end all the same.
  while (items.length < part.count) items.push(INPUT_DELETED);
  return items.slice(0, part.count);
}

async function* noChunks(): AsyncGenerator<Uint8Array> {}

/** The name of the input within its container. */
export function inputName({ inputBlob }: BatchRecord): string {
  return (inputBlob ?? '').slice(INPUT_CONTAINER.length + 1);
}
