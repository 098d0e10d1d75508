import type { Clock } from '../../clock.ts';
import type { Telemetry } from '../../telemetry/telemetry.ts';
import type { BlobContainer, BlobLease, BlobMetadata } from '../../storage/blob-container.ts';
import { createGroupCommit, type GroupCommit } from '../../storage/group-commit.ts';
import {
  createJournalReader,
  type JournalEntry,
  type JournalReader,
  type JournalView,
} from './journal.ts';
import { blobPaths } from './blob-paths.ts';
import type { ResultLine } from '../model/item.ts';
import { readLines } from '../model/jsonl.ts';
import { createTimeSlice } from '../model/time-slice.ts';

/** Highest age of the counts that a reader of the batch sees while a shard runs. */
const COUNTS_INTERVAL_MS = 1_000;
/** Longer than any entry: a result with its response. */
const MAX_ENTRY_BYTES = 67_108_864;

/** One object for all counts of successes, because there are many. */
const SUCCEEDED = { outcome: 'succeeded' } as const;

export interface ShardRef {
  readonly id: string;
  readonly shard: number;
  readonly total: number;
  readonly digest: string;
  readonly generation: number;
}

/** The exclusive right to write the journal of one shard, until it is released or lost. */
export interface ShardLease {
  readonly view: JournalView;
  /** Aborts when the lease is lost: another delivery may write now, and this one cannot. */
  readonly lostSignal: AbortSignal;
  /** Resolves when the entry is durable. */
  append(entry: JournalEntry): Promise<void>;
  /** Marks the shard as done. */
  finish(): Promise<void>;
  release(): Promise<void>;
}

interface LeaseDependencies {
  readonly container: BlobContainer;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
}

/** Acquires the lease of a shard, begins its journal if it is new, and reads it. */
export async function acquireShardLease(
  ref: ShardRef,
  dependencies: LeaseDependencies,
): Promise<ShardLease | 'busy'> {
  const name = blobPaths.journal(ref.id, ref.shard);
  const lease = await dependencies.container.acquireLease(name);
  if (lease === 'busy') return 'busy';
  try {
    return await openJournal(ref, { ...dependencies, lease, name });
  } catch (error) {
    await lease.release();
    throw error;
  }
}

interface JournalDependencies extends LeaseDependencies {
  readonly lease: BlobLease;
  readonly name: string;
}

async function openJournal(ref: ShardRef, dependencies: JournalDependencies): Promise<ShardLease> {
  const { lease, clock, telemetry } = dependencies;
  const reader = createJournalReader();
  const endsWithLineFeed = await readJournal(reader, dependencies);
  const writer = createGroupCommit({
    write: (lines, position) => lease.append(lines, position),
    position: lease.bytes,
  });
  if (!endsWithLineFeed) await writer.add('\n');
  const write = (entry: JournalEntry) => writeEntry(entry, { writer, reader });
  const counts = createCountsWriter(ref, { reader, lease });
  if (reader.view() === undefined) {
    const { digest, total } = ref;
    await write({ type: 'job', digest, total, createdAt: new Date(clock.now()).toISOString() });
  }
  const view = reader.view();
  if (view === undefined) throw new TypeError('Cannot read the first line of a journal');
  if (view.generation < ref.generation) {
    await write({ type: 'reopened', generation: ref.generation });
  }
  if (view.invalidLines > 0) {
    telemetry.error('batch journal has invalid lines', { count: view.invalidLines });
  }
  await counts.write();
  return {
    get view() {
      return reader.view() ?? view;
    },
    lostSignal: lease.lostSignal,
    async append(entry) {
      await write(entry);
      if (entry.type !== 'result') return;
      countResult(telemetry, entry.line);
      counts.writeSoon();
    },
    finish: () => counts.write(),
    async release() {
      await counts.stop();
      await lease.release();
    },
  };
}

/** Counts each result once, when it is durable. */
function countResult(telemetry: Telemetry, { error }: ResultLine): void {
  if (error === null) telemetry.count('batchItems', 1, SUCCEEDED);
  else telemetry.count('batchItems', 1, { outcome: 'failed', 'error.type': error.code });
}

/** The view includes the entry only once it is durable. */
async function writeEntry(
  entry: JournalEntry,
  { writer, reader }: { readonly writer: GroupCommit; readonly reader: JournalReader },
): Promise<void> {
  await writer.add(`${JSON.stringify(entry)}\n`);
  reader.apply(entry);
}

/** Resolves to whether the last line is complete; a process may have crashed within a write. */
async function readJournal(
  reader: JournalReader,
  { container, name, lease }: JournalDependencies,
): Promise<boolean> {
  if (lease.bytes === 0) return true;
  const chunks = await container.stream(name, { start: 0, end: lease.bytes });
  let endsWithLineFeed = true;
  async function* observed(): AsyncGenerator<Uint8Array> {
    for await (const chunk of chunks ?? []) {
      if (chunk.byteLength > 0) endsWithLineFeed = chunk.at(-1) === 0x0a;
      yield chunk;
    }
  }
  const slice = createTimeSlice();
  for await (const { lines } of readLines(observed(), { maxLineBytes: MAX_ENTRY_BYTES })) {
    for (const { bytes } of lines) {
      if (slice.isOver()) await slice.next();
      reader.add(Buffer.from(bytes ?? []).toString('utf8'));
    }
  }
  return endsWithLineFeed;
}

/**
 * Keeps the counts in the metadata of the journal up to date. They are informational, except for
 * the state `done`, which is written once and last.
 */
function createCountsWriter(
  ref: ShardRef,
  { reader, lease }: { readonly reader: JournalReader; readonly lease: BlobLease },
) {
  let timer: NodeJS.Timeout | undefined;
  let writing: Promise<void> = Promise.resolve();
  function write(unfinished: 'open' | 'released' = 'open'): Promise<void> {
    clearTimeout(timer);
    timer = undefined;
    const metadata = toShardMetadata(reader, { ref, unfinished });
    const next = writing.catch(() => undefined).then(() => lease.setMetadata(metadata));
    writing = next;
    return next;
  }
  return {
    write,
    writeSoon() {
      timer ??= setTimeout(() => void write().catch(() => undefined), COUNTS_INTERVAL_MS);
    },
    /** Writes the final counts, and that the lease was released normally. */
    async stop() {
      const isDone = isComplete(reader, ref) && timer === undefined;
      if (!isDone && !lease.lostSignal.aborted) void write('released').catch(() => undefined);
      clearTimeout(timer);
      await writing.catch(() => undefined);
    },
  };
}

function isComplete(reader: JournalReader, { total }: ShardRef): boolean {
  return (reader.view()?.results.size ?? 0) >= total;
}

function toShardMetadata(
  reader: JournalReader,
  { ref, unfinished }: { readonly ref: ShardRef; readonly unfinished: 'open' | 'released' },
): BlobMetadata {
  const results = [...(reader.view()?.results.values() ?? [])];
  return {
    total: String(ref.total),
    done: String(results.length),
    failed: String(results.filter((outcome) => outcome === 'failed').length),
    generation: String(reader.view()?.generation ?? 0),
    state: isComplete(reader, ref) ? 'done' : unfinished,
  };
}
