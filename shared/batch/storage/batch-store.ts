import { ServiceError } from '../../errors.ts';
import type { Clock } from '../../clock.ts';
import type { Telemetry } from '../../telemetry/telemetry.ts';
import type { BatchStore, ListPage } from './batch-store.part.ts';
import type { BlobArea } from '../../storage/blob-container.ts';
import { idOfListEntry, listEntry, listPrefix, names } from './blob-paths.ts';
import { writeDeadLetter } from './dead-letters.ts';
import { isJobId } from '../model/job-message.ts';
import { inlinePlan, planSchema, type Plan } from '../model/plan.ts';
import { readResults } from './read-results.ts';
import { recordSchema, type BatchRecord } from '../model/batch-record.ts';
import { holdShard } from './shard-lease.ts';
import { finalFacts, survey, type Final } from './batch-progress.ts';

export interface BlobBatchStoreOptions {
  readonly area: BlobArea;
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
    begin: (record) => begin(area, record),
    async discard(record) {
      await area.remove(listEntry(record));
      await area.remove(names.record(record.id));
    },
    async find(id) {
      return (await findRecord(area, id))?.record;
    },
    change: (id, change) => changeRecord(area, { id, change }),
    async isCancelled({ id }) {
      const found = await area.facts(names.record(id));
      // Without a record it was taken back, or is over its retention: nobody can ask for it.
      return found === undefined || found.facts['cancelled'] === 'true';
    },
    async keepPlan(id, plan) {
      await area.create(names.plan(id), {
        content: JSON.stringify(plan),
        contentType: JSON_TYPE,
        facts: planFacts(plan, clock.now()),
      });
    },
    plan: (record) => findPlan(area, record),
    survey: (id) => survey(area, id),
    open: (ref) =>
      holdShard(ref, {
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

async function begin(area: BlobArea, record: BatchRecord): Promise<BatchRecord> {
  const isNew = await area.create(names.record(record.id), contentOf(record));
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

async function findRecord(area: BlobArea, id: string) {
  if (!isJobId(id)) return undefined;
  const found = await area.read(names.record(id));
  if (found === undefined) return undefined;
  return { record: recordSchema.parse(JSON.parse(found.text)), version: found.version };
}

async function changeRecord(
  area: BlobArea,
  { id, change }: { readonly id: string; readonly change: (record: BatchRecord) => BatchRecord },
): Promise<BatchRecord | undefined> {
  for (let attempt = 1; attempt <= MAX_CHANGES; attempt += 1) {
    const found = await findRecord(area, id);
    if (found === undefined) return undefined;
    const changed = change(found.record);
    if (changed === found.record) return changed;
    const { version } = found;
    if (await area.replace(names.record(id), { ...contentOf(changed), version })) return changed;
  }
  throw new ServiceError('overloaded', 'Cannot change the batch: too many others change it');
}

function planFacts(plan: Plan, now: number) {
  return {
    total: String(plan.total),
    shards: String(plan.shards.length),
    errors: String(plan.errors.length),
    at: String(now),
  };
}

async function findPlan(area: BlobArea, record: BatchRecord): Promise<Plan | undefined> {
  if (record.items !== undefined) return inlinePlan(record.items);
  const found = await area.read(names.plan(record.id));
  return found === undefined ? undefined : planSchema.parse(JSON.parse(found.text));
}

/** The end is written last: whoever sees it finds the files complete. */
async function finish(
  area: BlobArea,
  { record, final }: { readonly record: BatchRecord; readonly final: Final },
): Promise<void> {
  const { id, generation } = record;
  if (final.succeeded > 0) {
    const content = readResults(area, { id, kind: 'succeeded' });
    await area.create(names.output(id, generation), { content });
  }
  if (final.failed > 0) {
    const content = readResults(area, { id, kind: 'failed' });
    await area.create(names.errors(id, generation), { content });
  }
  await area.create(names.final(id, generation), {
    content: JSON.stringify(final),
    contentType: JSON_TYPE,
    facts: finalFacts(final, generation),
  });
}

async function list(
  area: BlobArea,
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
