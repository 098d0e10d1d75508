import {
  type BatchRecord,
  inlinePlan,
  type Plan,
  planSchema,
  recordSchema,
} from '../model/batch-record.ts';
import { isJobId } from '../model/job-message.ts';
import {
  type FinalState,
  finalMetadata,
  readResults,
  type ResultKind,
  type BatchProgress,
  readProgress,
} from './batch-progress.ts';
import { idOfListEntry, listEntry, listPrefix, blobPaths } from './blob-paths.ts';
import { acquireShardLease, type ShardLease, type ShardRef } from './shard-lease.ts';
import type { Clock } from '../../clock.ts';
import { ServiceError } from '../../errors.ts';
import type { BlobContainer } from '../../storage/blob-container.ts';
import type { Telemetry } from '../../telemetry/telemetry.ts';

/** Keeps batches: whatever is in it is never computed or paid for again. */
export interface BatchStore {
  /** Keeps the record of a new batch; resolves to the earlier one where the id is taken. */
  begin(record: BatchRecord): Promise<BatchRecord>;
  /** Forgets a batch that nobody has begun to work on. */
  discard(record: BatchRecord): Promise<void>;
  find(id: string): Promise<BatchRecord | undefined>;
  /** Changes a record; tried again when somebody else changed it meanwhile. */
  change(
    id: string,
    change: (record: BatchRecord) => BatchRecord,
  ): Promise<BatchRecord | undefined>;
  isCancelled(record: BatchRecord): Promise<boolean>;
  /** The first plan of a batch counts. */
  keepPlan(id: string, plan: Plan): Promise<void>;
  plan(record: BatchRecord): Promise<Plan | undefined>;
  survey(id: string): Promise<BatchProgress>;
  /** `busy`: another delivery works on the shard. */
  open(ref: ShardRef): Promise<ShardLease | 'busy'>;
  /** Result lines as they stand in the journals at this moment. */
  results(id: string, kind: ResultKind): AsyncIterable<string>;
  /** Writes the output files and then how the batch ended: each of them once. */
  finish(record: BatchRecord, final: FinalState): Promise<void>;
  /** Ids of the batches of an owner, newest first. */
  list(
    owner: string | null,
    page: ListPage,
  ): Promise<{ readonly ids: string[]; readonly hasMore: boolean }>;
  /** Keeps a message that cannot become a job, with the reason. */
  recordDeadLetter(letter: DeadLetter): Promise<void>;
  /** @throws when the store cannot be reached */
  ping(signal: AbortSignal): Promise<void>;
}

export interface ListPage {
  readonly after: BatchRecord | undefined;
  readonly limit: number;
}

export interface DeadLetter {
  readonly reason: string;
  /** The message as it was handed over. */
  readonly message: unknown;
  readonly jobId?: string | undefined;
}

export interface BlobBatchStoreOptions {
  readonly area: BlobContainer;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
}

const JSON_TYPE = 'application/json';
/** Somebody else won that often in a row: something is wrong. */
const MAX_CHANGES = 10;

/** Batches as blobs: records and files are written conditionally, journals under a lease. */
export function createBlobBatchStore(options: BlobBatchStoreOptions): BatchStore {
  const { area, clock, telemetry } = options;
  return {
    begin: (record) => createOrGetRecord(area, record),
    async discard(record) {
      await area.remove(listEntry(record));
      await area.remove(blobPaths.record(record.id));
    },
    async find(id) {
      return (await findRecord(area, id))?.record;
    },
    change: (id, change) => changeRecord(area, { id, change }),
    async isCancelled({ id }) {
      const found = await area.facts(blobPaths.record(id));
      // Without a record it was taken back, or is over its retention: nobody can ask for it.
      return found === undefined || found.facts['cancelled'] === 'true';
    },
    async keepPlan(id, plan) {
      await area.create(blobPaths.plan(id), {
        content: JSON.stringify(plan),
        contentType: JSON_TYPE,
        facts: toPlanMetadata(plan, clock.now()),
      });
    },
    plan: (record) => findPlan(area, record),
    survey: (id) => readProgress(area, id),
    open: (ref) =>
      acquireShardLease(ref, {
        area,
        clock,
        telemetry: telemetry.with({ jobId: ref.id, shard: ref.shard }),
      }),
    results: (id, kind) => readResults(area, { id, kind }),
    finish: (record, final) => finish(area, { record, final }),
    list: (owner, page) => list(area, { owner, page }),
    recordDeadLetter: (letter) => writeDeadLetter(area, { letter, now: clock.now() }),
    ping: (signal) => area.ping(signal),
  };
}

async function createOrGetRecord(area: BlobContainer, record: BatchRecord): Promise<BatchRecord> {
  const isNew = await area.create(blobPaths.record(record.id), contentOf(record));
  const kept = isNew ? record : (await findRecord(area, record.id))?.record;
  if (kept === undefined)
    throw new TypeError(`Cannot find batch ${record.id} that was there before`);
  // Also for an earlier one: whoever began it may have ended before this line.
  await area.create(listEntry(kept), { content: '' });
  return kept;
}

function contentOf(record: BatchRecord) {
  return {
    content: JSON.stringify(record),
    contentType: JSON_TYPE,
    facts: { cancelled: String(record.cancelledAt !== null) },
  };
}

async function findRecord(area: BlobContainer, id: string) {
  if (!isJobId(id)) return undefined;
  const found = await area.read(blobPaths.record(id));
  if (found === undefined) return undefined;
  return { record: recordSchema.parse(JSON.parse(found.text)), version: found.version };
}

async function changeRecord(
  area: BlobContainer,
  { id, change }: { readonly id: string; readonly change: (record: BatchRecord) => BatchRecord },
): Promise<BatchRecord | undefined> {
  for (let attempt = 1; attempt <= MAX_CHANGES; attempt += 1) {
    const found = await findRecord(area, id);
    if (found === undefined) return undefined;
    const changed = change(found.record);
    if (changed === found.record) return changed;
    const { version } = found;
    if (await area.replace(blobPaths.record(id), { ...contentOf(changed), version }))
      return changed;
  }
  throw new ServiceError('overloaded', 'Cannot change the batch: too many others change it');
}

function toPlanMetadata(plan: Plan, now: number) {
  return {
    total: String(plan.total),
    shards: String(plan.shards.length),
    errors: String(plan.errors.length),
    at: String(now),
  };
}

async function findPlan(area: BlobContainer, record: BatchRecord): Promise<Plan | undefined> {
  if (record.items !== undefined) return inlinePlan(record.items);
  const found = await area.read(blobPaths.plan(record.id));
  return found === undefined ? undefined : planSchema.parse(JSON.parse(found.text));
}

/** The end is written last: whoever sees it finds the files complete. */
async function finish(
  area: BlobContainer,
  { record, final }: { readonly record: BatchRecord; readonly final: FinalState },
): Promise<void> {
  const { id, generation } = record;
  if (final.succeeded > 0) {
    const content = readResults(area, { id, kind: 'succeeded' });
    await area.create(blobPaths.output(id, generation), { content });
  }
  if (final.failed > 0) {
    const content = readResults(area, { id, kind: 'failed' });
    await area.create(blobPaths.errors(id, generation), { content });
  }
  await area.create(blobPaths.final(id, generation), {
    content: JSON.stringify(final),
    contentType: JSON_TYPE,
    facts: finalMetadata(final, generation),
  });
}

async function list(
  area: BlobContainer,
  { owner, page }: { readonly owner: string | null; readonly page: ListPage },
): Promise<{ ids: string[]; hasMore: boolean }> {
  const after = page.after === undefined ? '' : listEntry(page.after);
  const ids: string[] = [];
  for await (const { name } of area.list(listPrefix(owner))) {
    if (name <= after) continue;
    if (ids.length === page.limit) return { ids, hasMore: true };
    ids.push(idOfListEntry(name));
  }
  return { ids, hasMore: false };
}

/** Where messages are kept that could not become a job. */
export const DEAD_LETTER_FOLDER = '_dead-letters/';

const MAX_MESSAGE_CHARS = 100_000;

export async function writeDeadLetter(
  area: BlobContainer,
  { letter, now }: { readonly letter: DeadLetter; readonly now: number },
): Promise<void> {
  const at = new Date(now).toISOString();
  const message = createOnce(letter.message).slice(0, MAX_MESSAGE_CHARS);
  const name = `${DEAD_LETTER_FOLDER}${at.slice(0, 10)}/${crypto.randomUUID()}.json`;
  const content = JSON.stringify({ ...letter, at, message });
  await area.create(name, { content, contentType: 'application/json' });
}

/** A letter must be kept even when its message is nested so deeply that it cannot be written. */
function createOnce(message: unknown): string {
  try {
    return JSON.stringify(message) ?? 'undefined';
  } catch (error) {
    return `cannot be written: ${error instanceof Error ? error.message : typeof error}`;
  }
}
