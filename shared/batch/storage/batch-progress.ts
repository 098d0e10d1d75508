import { names, shardOf } from './blob-paths.ts';
import type { BlobArea, BlobFacts, ListedBlob } from '../../storage/blob-container.ts';

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

export type Outcome = 'completed' | 'failed' | 'cancelled' | 'expired';

/** How a batch ended. */
export interface Final {
  readonly outcome: Outcome;
  readonly succeeded: number;
  readonly failed: number;
  /** Milliseconds since the epoch. */
  readonly at: number;
}

/** Everything that one listing says about a batch. */
export interface Survey {
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
  readonly finals: ReadonlyMap<number, Final>;
}

export async function survey(area: BlobArea, id: string): Promise<Survey> {
  let plan: Survey['plan'];
  const shards: ShardState[] = [];
  const finals = new Map<number, Final>();
  for await (const blob of area.list(`${id}/`)) {
    const shard = shardOf(blob.name);
    if (shard !== undefined) shards.push(shardState(shard, blob));
    else if (blob.name === names.plan(id)) plan = planFacts(blob.facts);
    else {
      const final = readFinal(blob.facts);
      if (final !== undefined) finals.set(numberIn(blob.facts, 'generation'), final);
    }
  }
  return { plan, shards, finals };
}

export function finalFacts(final: Final, generation: number): BlobFacts {
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

function planFacts(facts: BlobFacts) {
  return {
    total: numberIn(facts, 'total'),
    shards: numberIn(facts, 'shards'),
    errors: numberIn(facts, 'errors'),
    at: numberIn(facts, 'at'),
  };
}

const OUTCOMES = ['completed', 'failed', 'cancelled', 'expired'] as const;

function readFinal(facts: BlobFacts): Final | undefined {
  const outcome = OUTCOMES.find((one) => one === facts['outcome']);
  if (outcome === undefined) return undefined;
  return {
    outcome,
    succeeded: numberIn(facts, 'succeeded'),
    failed: numberIn(facts, 'failed'),
    at: numberIn(facts, 'at'),
  };
}

function numberIn(facts: BlobFacts, name: string): number {
  return Number(facts[name] ?? 0);
}
