import { splitLines } from '../model/jsonl.ts';
import { blobPaths, shardOf } from './blob-paths.ts';
import { createJournalReader } from './journal.ts';
import type { BlobContainer, BlobProperties, ListedBlob } from '../../storage/blob-container.ts';

/** How far a shard is, as it last said itself. */
export interface ShardState {
  readonly shard: number;
  readonly total: number;
  readonly done: number;
  readonly failed: number;
  readonly generation: number;
  /** Every item has its result. */
  readonly isDone: boolean;
  /** A delivery works on it at this moment. */
  readonly isHeld: boolean;
  /** It was put back in good order, to go on later. */
  readonly isLeft: boolean;
}

export type BatchOutcome = 'completed' | 'failed' | 'cancelled' | 'expired';

/** How a batch ended. */
export interface FinalState {
  readonly outcome: BatchOutcome;
  readonly succeeded: number;
  readonly failed: number;
  /** Milliseconds since the epoch. */
  readonly at: number;
}

/** Everything that one listing says about a batch. */
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

export async function readProgress(area: BlobContainer, id: string): Promise<BatchProgress> {
  let plan: BatchProgress['plan'];
  const shards: ShardState[] = [];
  const finals = new Map<number, FinalState>();
  for await (const blob of area.list(`${id}/`)) {
    const shard = shardOf(blob.name);
    if (shard !== undefined) shards.push(shardState(shard, blob));
    else if (blob.name === blobPaths.plan(id)) plan = planMetadata(blob.facts);
    else {
      const final = readFinal(blob.facts);
      if (final !== undefined) finals.set(numberIn(blob.facts, 'generation'), final);
    }
  }
  return { plan, shards, finals };
}

export function finalMetadata(final: FinalState, generation: number): BlobProperties {
  return {
    outcome: final.outcome,
    succeeded: String(final.succeeded),
    failed: String(final.failed),
    at: String(final.at),
    generation: String(generation),
  };
}

function shardState(shard: number, { facts, held }: ListedBlob): ShardState {
  return {
    shard,
    total: numberIn(facts, 'total'),
    done: numberIn(facts, 'done'),
    failed: numberIn(facts, 'failed'),
    generation: numberIn(facts, 'generation'),
    isDone: facts['state'] === 'done',
    isHeld: held,
    isLeft: facts['state'] === 'left',
  };
}

function planMetadata(facts: BlobProperties) {
  return {
    total: numberIn(facts, 'total'),
    shards: numberIn(facts, 'shards'),
    errors: numberIn(facts, 'errors'),
    at: numberIn(facts, 'at'),
  };
}

const OUTCOMES = ['completed', 'failed', 'cancelled', 'expired'] as const;

function readFinal(facts: BlobProperties): FinalState | undefined {
  const outcome = OUTCOMES.find((one) => one === facts['outcome']);
  if (outcome === undefined) return undefined;
  return {
    outcome,
    succeeded: numberIn(facts, 'succeeded'),
    failed: numberIn(facts, 'failed'),
    at: numberIn(facts, 'at'),
  };
}

function numberIn(facts: BlobProperties, name: string): number {
  return Number(facts[name] ?? 0);
}

export type ResultKind = 'succeeded' | 'failed';

const MAX_ENTRY_BYTES = 67_108_864;

/** The result lines of a batch, shard by shard, without holding more than the failures of one. */
export async function* readResults(
  area: BlobContainer,
  { id, kind }: { readonly id: string; readonly kind: ResultKind },
): AsyncGenerator<string, void, void> {
  for await (const { name } of area.list(`${id}/shard-`)) {
    if (shardOf(name) === undefined) continue;
    const chunks = await area.stream(name);
    if (chunks !== undefined) yield* readShard(chunks, kind);
  }
}

async function* readShard(
  chunks: AsyncIterable<Uint8Array>,
  kind: ResultKind,
): AsyncGenerator<string, void, void> {
  const reader = createJournalReader();
  // A failure stands only if nobody begins its item again further down.
  let failures: string[] = [];
  for await (const { bytes } of splitLines(chunks, { maxLineBytes: MAX_ENTRY_BYTES })) {
    const entry = reader.add(Buffer.from(bytes ?? []).toString('utf8'));
    if (entry?.type === 'reopened') failures = [];
    if (entry?.type !== 'result') continue;
    const line = `${JSON.stringify(entry.line)}\n`;
    if (entry.line.error !== null) failures.push(line);
    else if (kind === 'succeeded') yield line;
  }
  if (kind === 'failed') yield* failures;
}
