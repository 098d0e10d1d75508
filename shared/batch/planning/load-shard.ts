import type { Clock } from '../../clock.ts';
import type { BatchStore } from '../storage/batch-store.ts';
import type { BlobContainer } from '../../storage/blob-container.ts';
import { INPUT_DELETED, INVALID_LINE } from '../model/item.ts';
import { MAX_LINE_BYTES } from '../input-limits.ts';
import { type BatchRecord, endedOutcome, type ShardPlan } from '../model/batch-record.ts';
import { createTimeSlice, parseLine, readLines } from '../model/jsonl.ts';
import { INPUT_CONTAINER } from '../storage-names.ts';

/** A shard with its items. */
export interface Shard {
  readonly id: string;
  /** Hash of the caller id; null for a queue job without an owner. */
  readonly owner: string | null;
  readonly shard: number;
  readonly digest: string;
  readonly generation: number;
  /** Index of its first item in the batch. */
  readonly first: number;
  readonly items: readonly unknown[];
  /** Indexes within the shard of items whose custom_id an earlier item has. */
  readonly duplicates: ReadonlySet<number>;
}

export interface ShardDependencies {
  readonly store: BatchStore;
  /** The container of input files. */
  readonly inputs: BlobContainer;
  readonly clock: Clock;
}

/** Loads the items of one shard; undefined if the batch has no such shard. */
export async function loadShard(
  { record, shard }: { readonly record: BatchRecord; readonly shard: number },
  { store, inputs, clock }: ShardDependencies,
): Promise<Shard | undefined> {
  const plan = await store.plan(record);
  const part = plan?.shards[shard];
  if (part === undefined) return undefined;
  const { id, owner, digest, generation } = record;
  const { first, duplicates } = part;
  const read = record.items ?? readItems(inputs, { record, part });
  const items = await Promise.resolve(read).catch((error: unknown) => {
    // A batch that has ended needs no input: every open item fails in the same way.
    if (endedOutcome(record, clock.now()) === undefined) throw error;
    return Array.from({ length: part.count }, () => INPUT_DELETED);
  });
  return { id, owner, shard, digest, generation, first, items, duplicates: new Set(duplicates) };
}

async function readItems(
  inputs: BlobContainer,
  { record, part }: { readonly record: BatchRecord; readonly part: ShardPlan },
): Promise<readonly unknown[]> {
  const chunks = await inputs.stream(inputName(record), part);
  const items: unknown[] = [];
  const slice = createTimeSlice();
  const groups = readLines(chunks ?? noChunks(), { maxLineBytes: MAX_LINE_BYTES });
  for await (const { lines } of groups) {
    for (const { bytes } of lines) {
      if (slice.isOver()) await slice.next();
      const line = bytes === undefined ? 'invalid' : parseLine(bytes);
      items.push(line === 'invalid' ? INVALID_LINE : line.value);
    }
  }
  // If the input was deleted after planning, its items still need results.
  while (items.length < part.count) items.push(INPUT_DELETED);
  return items.slice(0, part.count);
}

async function* noChunks(): AsyncGenerator<Uint8Array> {}

/** The name of the input within its container. */
export function inputName({ inputBlob }: BatchRecord): string {
  return (inputBlob ?? '').slice(INPUT_CONTAINER.length + 1);
}
