import { toJsonLine } from '../../json.ts';
import { createTimeSlice, readLines } from '../model/jsonl.ts';
import { blobPaths, journalBlobs, shardOf } from './blob-paths.ts';
import { createJournalReader } from './journal.ts';
import type { BlobContainer, BlobMetadata, ListedBlob } from '../../storage/blob-container.ts';

/** The state of a shard, as its journal's metadata last reported it. */
export interface ShardState {
  readonly shard: number;
  readonly total: number;
  readonly done: number;
  readonly failed: number;
  readonly generation: number;
  /** Every item has its result. */
  readonly isDone: boolean;
  /** A delivery has its lease now. */
  readonly isLeased: boolean;
  /** Its last delivery released the lease and queued the shard again. */
  readonly isReleased: boolean;
  /** When the daily budget of the owner returns, in epoch milliseconds, if the shard waits for it. */
  readonly budgetReturnsAt: number | undefined;
}

export type BatchOutcome = 'completed' | 'failed' | 'cancelled' | 'expired';

/** The final state of a batch. */
export interface FinalState {
  readonly outcome: BatchOutcome;
  readonly succeeded: number;
  readonly failed: number;
  /** Epoch milliseconds. */
  readonly at: number;
}

/** The progress of a batch, read by one listing. */
export interface BatchProgress {
  readonly plan:
    | {
        readonly total: number;
        readonly shards: number;
        readonly errors: number;
        readonly at: number;
      }
    | undefined;
  readonly shards: readonly ShardState[];
  /** By generation. */
  readonly finals: ReadonlyMap<number, FinalState>;
}

export async function readProgress(container: BlobContainer, id: string): Promise<BatchProgress> {
  let plan: BatchProgress['plan'];
  const shards: ShardState[] = [];
  const finals = new Map<number, FinalState>();
  for await (const blob of container.list(`${id}/`)) {
    const shard = shardOf(blob.name);
    if (shard !== undefined) shards.push(toShardState(shard, blob));
    else if (blob.name === blobPaths.plan(id)) plan = toPlanState(blob.metadata);
    else {
      const final = toFinalState(blob.metadata);
      if (final !== undefined) finals.set(numberIn(blob.metadata, 'generation'), final);
    }
  }
  return { plan, shards, finals };
}

export function toFinalMetadata(final: FinalState, generation: number): BlobMetadata {
  return {
    outcome: final.outcome,
    succeeded: String(final.succeeded),
    failed: String(final.failed),
    at: String(final.at),
    generation: String(generation),
  };
}

function toShardState(shard: number, { metadata, isLeased }: ListedBlob): ShardState {
  return {
    shard,
    total: numberIn(metadata, 'total'),
    done: numberIn(metadata, 'done'),
    failed: numberIn(metadata, 'failed'),
    generation: numberIn(metadata, 'generation'),
    isDone: metadata['state'] === 'done',
    isLeased,
    isReleased: metadata['state'] === 'released',
    budgetReturnsAt: numberIn(metadata, 'budget_returns_at') || undefined,
  };
}

function toPlanState(metadata: BlobMetadata) {
  return {
    total: numberIn(metadata, 'total'),
    shards: numberIn(metadata, 'shards'),
    errors: numberIn(metadata, 'errors'),
    at: numberIn(metadata, 'at'),
  };
}

const OUTCOMES = ['completed', 'failed', 'cancelled', 'expired'] as const;

function toFinalState(metadata: BlobMetadata): FinalState | undefined {
  const outcome = OUTCOMES.find((one) => one === metadata['outcome']);
  if (outcome === undefined) return undefined;
  return {
    outcome,
    succeeded: numberIn(metadata, 'succeeded'),
    failed: numberIn(metadata, 'failed'),
    at: numberIn(metadata, 'at'),
  };
}

function numberIn(metadata: BlobMetadata, name: string): number {
  return Number(metadata[name] ?? 0);
}

export type ResultKind = 'succeeded' | 'failed';

const MAX_ENTRY_BYTES = 67_108_864;

/** Streams the result lines of a batch; buffers only the failures of one shard. */
export async function* readResults(
  container: BlobContainer,
  { id, kind }: { readonly id: string; readonly kind: ResultKind },
): AsyncGenerator<string, void, void> {
  for await (const { name, metadata } of container.list(`${id}/shard-`)) {
    const shard = shardOf(name);
    if (shard === undefined) continue;
    const names = journalBlobs({ id, shard }, metadata);
    yield* readShard(readBlobs(container, names), kind);
  }
}

/** The content of several blobs as one; a blob that does not exist is empty. */
export async function* readBlobs(
  container: BlobContainer,
  names: readonly string[],
): AsyncGenerator<Uint8Array, void, void> {
  for (const name of names) yield* (await container.stream(name)) ?? [];
}

async function* readShard(
  chunks: AsyncIterable<Uint8Array>,
  kind: ResultKind,
): AsyncGenerator<string, void, void> {
  const reader = createJournalReader();
  // A failure is void if a later entry reopens the failed items.
  let failures: string[] = [];
  const slice = createTimeSlice();
  for await (const { lines } of readLines(chunks, { maxLineBytes: MAX_ENTRY_BYTES })) {
    for (const { bytes } of lines) {
      if (slice.isOver()) await slice.next();
      const entry = reader.add(Buffer.from(bytes ?? []).toString('utf8'));
      if (entry?.type === 'reopened') failures = [];
      if (entry?.type !== 'result') continue;
      const line = `${toJsonLine(entry.line)}\n`;
      if (entry.line.error !== null) failures.push(line);
      else if (kind === 'succeeded') yield line;
    }
  }
  if (kind === 'failed') yield* failures;
}
