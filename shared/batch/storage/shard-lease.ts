import type { Clock } from '../../clock.ts';
import type { Telemetry } from '../../telemetry/telemetry.ts';
import type { BlobContainer, BlobLease } from '../../storage/blob-container.ts';
import { createGroupCommit, type GroupCommit } from '../../storage/group-commit.ts';
import {
  createJournalReader,
  type JournalEntry,
  type JournalReader,
  type JournalView,
} from './journal.ts';
import { blobPaths } from './blob-paths.ts';
import type { ResultLine } from '../model/item.ts';
import { splitLines } from '../model/jsonl.ts';

/** A reader of the batch's state sees counts this old at most. */
const COUNT_EVERY_MS = 1_000;
/** An answer with everything around it; longer lines were never written. */
const MAX_ENTRY_BYTES = 67_108_864;

/** Shared by the many, so that none of them makes its own. */
const SUCCEEDED = { outcome: 'succeeded' } as const;

export interface ShardRef {
  readonly id: string;
  readonly shard: number;
  readonly total: number;
  readonly digest: string;
  readonly generation: number;
}

/** The sole right to write one shard's journal, until released or lost. */
export interface ShardLease {
  readonly view: JournalView;
  /** Aborts when the hold was lost: another delivery may write now, and we cannot. */
  readonly lost: AbortSignal;
  /** Resolves when the entry is durable. */
  append(entry: JournalEntry): Promise<void>;
  /** Tells the world that every item has its result. */
  finish(): Promise<void>;
  release(): Promise<void>;
}

interface LeaseDependencies {
  readonly area: BlobContainer;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
}

/** Takes hold of a shard, begins its journal if it is new, and reads what it holds. */
export async function acquireShardLease(
  ref: ShardRef,
  needs: LeaseDependencies,
): Promise<ShardLease | 'busy'> {
  const name = blobPaths.journal(ref.id, ref.shard);
  const held = await needs.area.hold(name);
  if (held === 'busy') return 'busy';
  try {
    return await openJournal(ref, { ...needs, held, name });
  } catch (error) {
    await held.release();
    throw error;
  }
}

interface JournalDependencies extends LeaseDependencies {
  readonly held: BlobLease;
  readonly name: string;
}

async function openJournal(ref: ShardRef, needs: JournalDependencies): Promise<ShardLease> {
  const { held, clock, telemetry } = needs;
  const reader = createJournalReader();
  const endsWhole = await readInto(reader, needs);
  const writer = createGroupCommit({
    write: (lines, position) => held.append(lines, position),
    position: held.bytes,
  });
  if (!endsWhole) await writer.add('\n');
  const write = (entry: JournalEntry) => writeEntry(entry, { writer, reader });
  const counts = keepCounts(ref, { reader, held });
  if (reader.view() === undefined) {
    const { digest, total } = ref;
    await write({ type: 'job', digest, total, createdAt: new Date(clock.now()).toISOString() });
  }
  const view = reader.view();
  if (view === undefined) throw new TypeError('Cannot read the first line of a journal');
  if (view.generation < ref.generation) {
    await write({ type: 'reopened', generation: ref.generation });
  }
  if (view.unreadable > 0) {
    telemetry.error('batch journal has unreadable lines', { count: view.unreadable });
  }
  await counts.write();
  return {
    get view() {
      return reader.view() ?? view;
    },
    lost: held.lost,
    async append(entry) {
      await write(entry);
      if (entry.type !== 'result') return;
      countResult(telemetry, entry.line);
      counts.writeSoon();
    },
    finish: () => counts.write(),
    async release() {
      await counts.stop();
      await held.release();
    },
  };
}

/** One for each result, while the batch runs: whoever wrote it, and whenever its batch ends. */
function countResult(telemetry: Telemetry, { error }: ResultLine): void {
  if (error === null) telemetry.count('batchItems', 1, SUCCEEDED);
  else telemetry.count('batchItems', 1, { outcome: 'failed', 'error.type': error.code });
}

/** The entry counts once it is durable, not before. */
async function writeEntry(
  entry: JournalEntry,
  { writer, reader }: { readonly writer: GroupCommit; readonly reader: JournalReader },
): Promise<void> {
  await writer.add(`${JSON.stringify(entry)}\n`);
  reader.take(entry);
}

/** Resolves to whether the last line is whole; a process may have ended within it. */
async function readInto(
  reader: JournalReader,
  { area, name, held }: JournalDependencies,
): Promise<boolean> {
  if (held.bytes === 0) return true;
  const chunks = await area.stream(name, { start: 0, end: held.bytes });
  let endsWhole = true;
  async function* watched(): AsyncGenerator<Uint8Array> {
    for await (const chunk of chunks ?? []) {
      if (chunk.byteLength > 0) endsWhole = chunk.at(-1) === 0x0a;
      yield chunk;
    }
  }
  for await (const { bytes } of splitLines(watched(), { maxLineBytes: MAX_ENTRY_BYTES })) {
    reader.add(Buffer.from(bytes ?? []).toString('utf8'));
  }
  return endsWhole;
}

/** Keeps the counts beside the journal nearly up to date. They are a view: nothing depends on them
 *  but `done`, which is written once and at the end. */
function keepCounts(
  ref: ShardRef,
  { reader, held }: { readonly reader: JournalReader; readonly held: BlobLease },
) {
  let timer: NodeJS.Timeout | undefined;
  let writing: Promise<void> = Promise.resolve();
  function write(unfinished: 'open' | 'left' = 'open'): Promise<void> {
    clearTimeout(timer);
    timer = undefined;
    const facts = metadataOf(reader, { ref, unfinished });
    const next = writing.catch(() => undefined).then(() => held.note(facts));
    writing = next;
    return next;
  }
  return {
    write,
    writeSoon() {
      timer ??= setTimeout(() => void write().catch(() => undefined), COUNT_EVERY_MS);
    },
    /** The last word of a hold: where it stands, and that it was let go in good order. */
    async stop() {
      const isDone = isComplete(reader, ref) && timer === undefined;
      if (!isDone && !held.lost.aborted) void write('left').catch(() => undefined);
      clearTimeout(timer);
      await writing.catch(() => undefined);
    },
  };
}

function isComplete(reader: JournalReader, { total }: ShardRef): boolean {
  return (reader.view()?.results.size ?? 0) >= total;
}

function metadataOf(
  reader: JournalReader,
  { ref, unfinished }: { readonly ref: ShardRef; readonly unfinished: 'open' | 'left' },
) {
  const results = [...(reader.view()?.results.values() ?? [])];
  return {
    total: String(ref.total),
    done: String(results.length),
    failed: String(results.filter((what) => what === 'failed').length),
    generation: String(reader.view()?.generation ?? 0),
    state: isComplete(reader, ref) ? 'done' : unfinished,
  };
}
