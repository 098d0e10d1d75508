import { randomUUID } from 'node:crypto';
import type { Clock } from '../../clock.ts';
import { ServiceError } from '../../errors.ts';
import type { Telemetry } from '../../telemetry/telemetry.ts';
import type { BlobContainer, BlobLease } from '../../storage/blob-container.ts';
import { createGroupCommit, type GroupCommit } from '../../storage/group-commit.ts';
import {
  createJournalReader,
  type JournalEntry,
  type JournalReader,
  type JournalView,
} from './journal.ts';
import { readBlobs } from './batch-progress.ts';
import { blobPaths, journalBlobs } from './blob-paths.ts';
import {
  type Continuation,
  type CountsWriter,
  createCountsWriter,
  type ShardRef,
} from './shard-counts.ts';
import type { ResultLine } from '../model/item.ts';
import { createTimeSlice, readLines } from '../model/jsonl.ts';

/** Longer than any entry: a result with its response. */
const MAX_ENTRY_BYTES = 67_108_864;

/**
 * Appends after which a journal goes on in an empty blob. Azure Storage takes 50,000; the distance
 * also covers a journal that an earlier version has filled.
 */
const MAX_APPENDS = 25_000;

/** One object for all counts of successes, because there are many. */
const SUCCEEDED = { outcome: 'succeeded' } as const;

/** The exclusive right to write the journal of one shard, until it is released or lost. */
export interface ShardLease {
  readonly view: JournalView;
  /** False for a message that another one superseded. */
  accepts(messageId: string | undefined): boolean;
  /** Aborts when the lease is lost: another delivery may write now, and this one cannot. */
  readonly lostSignal: AbortSignal;
  /** Resolves when the entry is durable. */
  append(entry: JournalEntry): Promise<void>;
  /** Marks the shard as done. */
  finish(): Promise<void>;
  /** Records which message continues the shard. Call it before that message is sent. */
  reschedule(continuation: Continuation): Promise<void>;
  release(): Promise<void>;
}

interface LeaseDependencies {
  readonly container: BlobContainer;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
  /** Appends after which a journal goes on in an empty blob. */
  readonly maxAppends?: number | undefined;
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
    return await openJournal(ref, { ...dependencies, ref, lease, name });
  } catch (error) {
    await lease.release();
    throw error;
  }
}

interface JournalDependencies extends LeaseDependencies {
  readonly ref: ShardRef;
  readonly lease: BlobLease;
  readonly name: string;
}

async function openJournal(ref: ShardRef, dependencies: JournalDependencies): Promise<ShardLease> {
  const { lease, clock, telemetry } = dependencies;
  const reader = createJournalReader();
  const endsWithLineFeed = await readJournal(reader, dependencies);
  const counts = createCountsWriter(ref, { reader, lease });
  const writer = createGroupCommit({
    write: createRollingWriter(ref, { ...dependencies, counts }),
    position: lease.bytes,
  });
  if (!endsWithLineFeed) await writer.add('\n');
  const write = (entry: JournalEntry) => writeEntry(entry, { writer, reader });
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
    accepts: (messageId) => messageId === undefined || counts.messageIds().includes(messageId),
    finish: () => counts.write(),
    reschedule: (continuation) => counts.reschedule(continuation),
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

interface RollingWriterDependencies extends JournalDependencies {
  readonly counts: CountsWriter;
}

/**
 * Appends to the journal. Long before its blob takes no further append, the lines become a part of
 * their own and the blob is emptied. A process that ends in between leaves a part that no metadata
 * names, so every line is read once.
 */
function createRollingWriter(
  { id, shard }: ShardRef,
  {
    container,
    lease,
    name,
    counts,
    telemetry,
    maxAppends = MAX_APPENDS,
  }: RollingWriterDependencies,
): (lines: string, position: number) => Promise<void> {
  /** The position in the journal at which its blob begins. */
  let start = 0;
  let { appends } = lease;

  async function roll(position: number): Promise<void> {
    const part = randomUUID();
    const content = await container.stream(name, { start: 0, end: position - start });
    await container.create(blobPaths.journalPart(id, { shard, part }), { content: content ?? '' });
    await counts.restart(part);
    telemetry.info('batch journal continued in a new blob', { appends });
    start = position;
    appends = 0;
  }

  return async (lines, position) => {
    if (appends >= maxAppends) await roll(position);
    appends += 1;
    if ((await lease.append(lines, position - start)) === 'appended') return;
    await roll(position);
    if ((await lease.append(lines, position - start)) === 'appended') return;
    const message = 'Cannot write the journal of a batch: its blob must take appends';
    throw new ServiceError('storage_unavailable', message);
  };
}

/** Resolves to whether the last line is complete; a process may have crashed within a write. */
async function readJournal(
  reader: JournalReader,
  { container, name, lease, ref }: JournalDependencies,
): Promise<boolean> {
  const parts = journalBlobs(ref, lease.metadata).slice(0, -1);
  async function* chunks(): AsyncGenerator<Uint8Array, void, void> {
    yield* readBlobs(container, parts);
    if (lease.bytes > 0) {
      yield* (await container.stream(name, { start: 0, end: lease.bytes })) ?? [];
    }
  }
  let endsWithLineFeed = true;
  async function* observed(): AsyncGenerator<Uint8Array> {
    for await (const chunk of chunks()) {
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
