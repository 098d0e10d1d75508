import type { BlobLease, BlobMetadata } from '../../storage/blob-container.ts';
import { listIn } from './blob-paths.ts';
import type { JournalReader } from './journal.ts';

/** Highest age of the counts that a reader of the batch sees while a shard runs. */
const COUNTS_INTERVAL_MS = 1_000;

export interface ShardRef {
  readonly id: string;
  readonly shard: number;
  readonly total: number;
  readonly digest: string;
  readonly generation: number;
}

/** The messages of a shard, of which one continues it; the others are superseded. */
export interface Continuation {
  /** The id of the message that continues the shard. */
  readonly next: string;
  /** The id of the message that is processed now. It stays valid until the next one is sent. */
  readonly current: string | undefined;
  /** When the daily budget of the owner returns, in epoch milliseconds, if the shard waits for it. */
  readonly budgetReturnsAt: number | undefined;
}

export interface CountsWriter {
  write(): Promise<void>;
  /** Writes the counts within a second. */
  writeSoon(): void;
  /** Empties the journal whose lines are now in a part of this name. */
  restart(part: string): Promise<void>;
  /** The ids of the messages that are not superseded. */
  messageIds(): readonly string[];
  /** Writes which message continues the shard, and that the lease is about to be released. */
  reschedule(continuation: Continuation): Promise<void>;
  /** Writes the final counts, and that the lease was released normally. */
  stop(): Promise<void>;
}

function withLists(
  metadata: BlobMetadata,
  lists: Readonly<Record<'parts' | 'messages', readonly string[]>>,
): BlobMetadata {
  const filled = Object.entries(lists).filter(([, list]) => list.length > 0);
  return {
    ...metadata,
    ...Object.fromEntries(filled.map(([name, list]) => [name, list.join(' ')])),
  };
}

/**
 * Keeps the counts in the metadata of the journal up to date. They are informational, except for
 * the state `done`, which is written once and last.
 */
export function createCountsWriter(
  ref: ShardRef,
  { reader, lease }: { readonly reader: JournalReader; readonly lease: BlobLease },
): CountsWriter {
  let timer: NodeJS.Timeout | undefined;
  let writing: Promise<void> = Promise.resolve();
  let parts = listIn(lease.metadata, 'parts');
  let messageIds = listIn(lease.metadata, 'messages');
  let isReleased = false;
  /** One write after the other: a late one must not bring earlier parts back. */
  function enqueue(send: () => Promise<void>): Promise<void> {
    const next = writing.catch(() => undefined).then(send);
    writing = next;
    return next;
  }
  function write(unfinished: 'open' | 'released' = 'open', waits: BlobMetadata = {}) {
    clearTimeout(timer);
    timer = undefined;
    const metadata = { ...toShardMetadata(reader, { ref, unfinished }), ...waits };
    return enqueue(() => lease.setMetadata(withLists(metadata, { parts, messages: messageIds })));
  }
  return {
    write: () => write(),
    messageIds: () => messageIds,
    async reschedule({ next, current, budgetReturnsAt }) {
      messageIds = current === undefined ? [next] : [next, current];
      const waits = { budget_returns_at: String(budgetReturnsAt) };
      await write('released', budgetReturnsAt === undefined ? {} : waits);
      isReleased = true;
    },
    restart: (part) =>
      enqueue(async () => {
        const metadata = toShardMetadata(reader, { ref, unfinished: 'open' });
        const next = [...parts, part];
        await lease.restart(withLists(metadata, { parts: next, messages: messageIds }));
        parts = next;
      }),
    writeSoon() {
      timer ??= setTimeout(() => void write().catch(() => undefined), COUNTS_INTERVAL_MS);
    },
    async stop() {
      const isDone = isComplete(reader, ref) && timer === undefined;
      if (!isDone && !isReleased && !lease.lostSignal.aborted) {
        void write('released').catch(() => undefined);
      }
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
