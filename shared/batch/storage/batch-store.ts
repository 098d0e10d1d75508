import {
  type BatchRecord,
  inlinePlan,
  outputExpiry,
  type Plan,
  planSchema,
  recordSchema,
} from '../model/batch-record.ts';
import { isJobId } from '../model/job-message.ts';
import {
  type FinalState,
  toFinalMetadata,
  readResults,
  type ResultKind,
  type BatchProgress,
  readProgress,
} from './batch-progress.ts';
import {
  blobPaths,
  idOfListEntry,
  listEntry,
  listPrefix,
  outputBlob,
  outputFileId,
  outputFilename,
} from './blob-paths.ts';
import { addToFileIndex, expiryMetadata } from './file-index.ts';
import type { ShardRef } from './shard-counts.ts';
import { addOpenBatch, type OpenBatches, removeOpenBatch } from './open-batches.ts';
import { acquireShardLease, type ShardLease } from './shard-lease.ts';
import type { Clock } from '../../clock.ts';
import { ServiceError } from '../../errors.ts';
import type { BlobContainer } from '../../storage/blob-container.ts';
import type { Telemetry } from '../../telemetry/telemetry.ts';

/** Stores batches. Results in it are durable and never computed again. */
export interface BatchStore {
  /** Stores a new record; resolves to the existing one if the id is taken. */
  createOrGet(record: BatchRecord): Promise<BatchRecord>;
  /** Adds a batch to the open ones of its owner until it is finished; resolves to all of them. */
  addOpen(
    record: BatchRecord,
    batch: { readonly items: number; readonly now: number },
  ): Promise<OpenBatches>;
  removeOpen(record: BatchRecord): Promise<void>;
  /** Deletes a batch that was never queued. */
  discard(record: BatchRecord): Promise<void>;
  find(id: string): Promise<BatchRecord | undefined>;
  /** Changes a record; repeats the change if another writer was faster. Undefined if it is missing. */
  change(
    id: string,
    change: (record: BatchRecord) => BatchRecord,
  ): Promise<BatchRecord | undefined>;
  isCancelled(record: BatchRecord): Promise<boolean>;
  /** The first plan of a batch wins; later ones are ignored. */
  savePlan(id: string, plan: Plan): Promise<void>;
  plan(record: BatchRecord): Promise<Plan | undefined>;
  progress(id: string): Promise<BatchProgress>;
  /** `busy`: another delivery has the lease of the shard. */
  acquireShard(ref: ShardRef): Promise<ShardLease | 'busy'>;
  /** Result lines that the journals contain now. */
  results(id: string, kind: ResultKind): AsyncIterable<string>;
  /** Writes the output files and then the final state, each of them once. */
  finish(record: BatchRecord, final: FinalState): Promise<void>;
  /** Ids of the batches of an owner, newest first. */
  list(
    owner: string | null,
    page: ListPage,
  ): Promise<{ readonly ids: string[]; readonly hasMore: boolean }>;
  /** Stores a message that cannot become a job, with the reason. */
  recordDeadLetter(letter: DeadLetter): Promise<void>;
  /** @throws ServiceError storage_unavailable or config_unavailable */
  ping(signal: AbortSignal): Promise<void>;
}

export interface ListPage {
  readonly after: BatchRecord | undefined;
  readonly limit: number;
}

export interface DeadLetter {
  readonly reason: string;
  /** The message as it was received. */
  readonly message: unknown;
  readonly jobId?: string | undefined;
}

export interface BlobBatchStoreOptions {
  readonly container: BlobContainer;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
}

const JSON_TYPE = 'application/json';
/** Lost races in a row after which a change fails. */
const MAX_CHANGES = 10;

/** Stores batches as blobs: records and files by conditional writes, journals under a lease. */
export function createBlobBatchStore(options: BlobBatchStoreOptions): BatchStore {
  const { container, clock, telemetry } = options;
  return {
    createOrGet: (record) => createOrGetRecord(container, record),
    addOpen: (record, batch) => addOpenBatch(container, { record, ...batch }),
    removeOpen: (record) => removeOpenBatch(container, record),
    async discard(record) {
      await removeOpenBatch(container, record);
      await container.remove(listEntry(record));
      await container.remove(blobPaths.record(record.id));
    },
    async find(id) {
      return (await findRecord(container, id))?.record;
    },
    change: (id, change) => changeRecord(container, { id, change }),
    async isCancelled({ id }) {
      const found = await container.properties(blobPaths.record(id));
      // A missing record means that the batch was discarded, or deleted by the retention rule.
      return found === undefined || found.metadata['cancelled'] === 'true';
    },
    async savePlan(id, plan) {
      await container.create(blobPaths.plan(id), {
        content: JSON.stringify(plan),
        contentType: JSON_TYPE,
        metadata: toPlanMetadata(plan, clock.now()),
      });
    },
    plan: (record) => findPlan(container, record),
    progress: (id) => readProgress(container, id),
    acquireShard: (ref) =>
      acquireShardLease(ref, {
        container,
        clock,
        telemetry: telemetry.with({ jobId: ref.id, shard: ref.shard }),
      }),
    results: (id, kind) => readResults(container, { id, kind }),
    finish: (record, final) => finish(container, { record, final }),
    list: (owner, page) => list(container, { owner, page }),
    recordDeadLetter: (letter) => writeDeadLetter(container, { letter, now: clock.now() }),
    ping: (signal) => container.ping(signal),
  };
}

async function createOrGetRecord(
  container: BlobContainer,
  record: BatchRecord,
): Promise<BatchRecord> {
  const isNew = await container.create(blobPaths.record(record.id), contentOf(record));
  const stored = isNew ? record : (await findRecord(container, record.id))?.record;
  if (stored === undefined)
    throw new TypeError(`Cannot find batch ${record.id} that existed before`);
  // Also for an existing record: the process that created it may have crashed before this line.
  await container.create(listEntry(stored), { content: '' });
  return stored;
}

function contentOf(record: BatchRecord) {
  return {
    content: JSON.stringify(record),
    contentType: JSON_TYPE,
    metadata: { cancelled: String(record.cancelledAt !== null) },
  };
}

async function findRecord(container: BlobContainer, id: string) {
  if (!isJobId(id)) return undefined;
  const found = await container.read(blobPaths.record(id));
  if (found === undefined) return undefined;
  return { record: recordSchema.parse(JSON.parse(found.text)), version: found.version };
}

async function changeRecord(
  container: BlobContainer,
  { id, change }: { readonly id: string; readonly change: (record: BatchRecord) => BatchRecord },
): Promise<BatchRecord | undefined> {
  for (let attempt = 1; attempt <= MAX_CHANGES; attempt += 1) {
    const found = await findRecord(container, id);
    if (found === undefined) return undefined;
    const changed = change(found.record);
    if (changed === found.record) return changed;
    const { version } = found;
    if (await container.replace(blobPaths.record(id), { ...contentOf(changed), version }))
      return changed;
  }
  throw new ServiceError(
    'overloaded',
    'Cannot change the batch: too many requests change it at once',
  );
}

function toPlanMetadata(plan: Plan, now: number) {
  return {
    total: String(plan.total),
    shards: String(plan.shards.length),
    errors: String(plan.errors.length),
    at: String(now),
  };
}

async function findPlan(container: BlobContainer, record: BatchRecord): Promise<Plan | undefined> {
  if (record.items !== undefined) return inlinePlan(record.items);
  const found = await container.read(blobPaths.plan(record.id));
  return found === undefined ? undefined : planSchema.parse(JSON.parse(found.text));
}

/** The final state is written last, so that the files are complete once it exists. */
async function finish(
  container: BlobContainer,
  { record, final }: { readonly record: BatchRecord; readonly final: FinalState },
): Promise<void> {
  const { id, generation } = record;
  if (final.succeeded > 0) await writeOutput(container, { record, final, kind: 'succeeded' });
  if (final.failed > 0) await writeOutput(container, { record, final, kind: 'failed' });
  // Before the final state: a process that ends in between finishes the batch again.
  await removeOpenBatch(container, record);
  await container.create(blobPaths.final(id, generation), {
    content: JSON.stringify(final),
    contentType: JSON_TYPE,
    metadata: toFinalMetadata(final, generation),
  });
}

interface Output {
  readonly record: BatchRecord;
  readonly final: FinalState;
  readonly kind: ResultKind;
}

async function writeOutput(
  container: BlobContainer,
  { record, final, kind }: Output,
): Promise<void> {
  const { id, generation, owner } = record;
  const file = { id, kind, generation };
  const expiresAt = outputExpiry(record, final.at);
  const name = outputBlob(file);
  await container.create(name, {
    content: readResults(container, { id, kind }),
    metadata: expiryMetadata(expiresAt),
  });
  if (owner === null) return;
  const bytes = (await container.properties(name))?.bytes ?? 0;
  const indexed = {
    id: outputFileId(file),
    bytes,
    createdAt: Date.parse(record.createdAt),
    filename: outputFilename(file),
    purpose: 'batch_output',
    expiresAt,
  } as const;
  await addToFileIndex(container, { owner, file: indexed });
}

async function list(
  container: BlobContainer,
  { owner, page }: { readonly owner: string | null; readonly page: ListPage },
): Promise<{ ids: string[]; hasMore: boolean }> {
  const after = page.after === undefined ? '' : listEntry(page.after);
  const ids: string[] = [];
  for await (const { name } of container.list(listPrefix(owner))) {
    if (name <= after) continue;
    if (ids.length === page.limit) return { ids, hasMore: true };
    ids.push(idOfListEntry(name));
  }
  return { ids, hasMore: false };
}

/** The folder of messages that could not become a job. */
export const DEAD_LETTER_FOLDER = '_dead-letters/';

const MAX_MESSAGE_CHARS = 100_000;

async function writeDeadLetter(
  container: BlobContainer,
  { letter, now }: { readonly letter: DeadLetter; readonly now: number },
): Promise<void> {
  const at = new Date(now).toISOString();
  const message = toText(letter.message).slice(0, MAX_MESSAGE_CHARS);
  const name = `${DEAD_LETTER_FOLDER}${at.slice(0, 10)}/${crypto.randomUUID()}.json`;
  const content = JSON.stringify({ ...letter, at, message });
  await container.create(name, { content, contentType: 'application/json' });
}

/** A message can be nested too deeply for JSON.stringify; its dead letter is stored all the same. */
function toText(message: unknown): string {
  try {
    return JSON.stringify(message) ?? 'undefined';
  } catch (error) {
    return `cannot be serialised: ${error instanceof Error ? error.message : typeof error}`;
  }
}
