import { randomBytes } from 'node:crypto';
import { type BatchView, isStalled, viewBatch } from './batch-status.ts';
import { findInput, inputBlob } from './file-service.ts';
import {
  type BatchRecord,
  COMPLETION_WINDOW_MS,
  canAccess,
  newRecord,
} from '../model/batch-record.ts';
import { digestOf, isJobId, type JobSender } from '../model/job-message.ts';
import { inputName } from '../planning/load-shard.ts';
import { sendShards } from '../planning/plan-batch.ts';
import { isSettled, shardCount } from '../processing/finish-batch.ts';
import { INPUT_CONTAINER } from '../storage-names.ts';
import type { BatchProgress } from '../storage/batch-progress.ts';
import type { BatchStore } from '../storage/batch-store.ts';
import type { Clock } from '../../clock.ts';
import { ServiceError } from '../../errors.ts';
import type { BlobContainer } from '../../storage/blob-container.ts';

export interface NewBatchRequest {
  readonly owner: string;
  readonly inputFileId: string;
  readonly endpoint: string;
  readonly metadata: Readonly<Record<string, string>> | null;
}

/** Batches as callers see them. One of somebody else is not there: not_found. */
export interface BatchService {
  create(wanted: NewBatchRequest): Promise<BatchView>;
  view(id: string, owner: string): Promise<BatchView>;
  list(
    owner: string,
    page: { readonly after: string | undefined; readonly limit: number },
  ): Promise<{ readonly batches: readonly BatchView[]; readonly hasMore: boolean }>;
  cancel(id: string, owner: string): Promise<BatchView>;
  retryFailed(id: string, owner: string): Promise<BatchView>;
}

export interface BatchServiceOptions {
  readonly store: BatchStore;
  readonly inputs: BlobContainer;
  readonly sender: JobSender;
  readonly clock: Clock;
}

export function createBatchService(options: BatchServiceOptions): BatchService {
  const { store, clock } = options;
  const wakeIfLost = createStalledBatchRequeuer(options);
  const look = (id: string, owner: string) => findBatch(id, { owner, store });
  const view = async ({ record, survey }: ObservedBatch): Promise<BatchView> => {
    const plan = (survey.plan?.errors ?? 0) > 0 ? await store.plan(record) : undefined;
    return { ...viewBatch(record, { survey, now: clock.now() }), errors: plan?.errors ?? [] };
  };
  return {
    async create(wanted) {
      const record = await createRecord(wanted, options);
      return view({ record, survey: await store.survey(record.id) });
    },
    async view(id, owner) {
      const seen = await look(id, owner);
      await wakeIfLost(seen);
      return view(seen);
    },
    async list(owner, { after, limit }) {
      const last = after === undefined ? undefined : await look(after, owner);
      const { ids, hasMore } = await store.list(owner, { after: last?.record, limit });
      const found = await Promise.all(ids.map((id) => look(id, owner).catch(unlessGone)));
      const batches = await Promise.all(found.filter((seen) => seen !== undefined).map(view));
      return { batches, hasMore };
    },
    cancel: async (id, owner) => view(await cancelBatch(await look(id, owner), options)),
    retryFailed: async (id, owner) => view(await retryBatch(await look(id, owner), options)),
  };
}

async function findBatch(
  id: string,
  { owner, store }: { readonly owner: string; readonly store: BatchStore },
): Promise<ObservedBatch> {
  // Other folders are no batches, and may be large.
  const [record, survey] = isJobId(id) ? await Promise.all([store.find(id), store.survey(id)]) : [];
  if (record === undefined || survey === undefined || !canAccess(record, owner)) {
    throw new ServiceError('not_found', 'There is no such batch');
  }
  return { record, survey };
}

/** Retention takes a batch away blob by blob; its entry in the list may be the last of them. */
function unlessGone(error: unknown): undefined {
  if (error instanceof ServiceError && error.code === 'not_found') return undefined;
  throw error;
}

async function createRecord(
  { owner, inputFileId, endpoint, metadata }: NewBatchRequest,
  { store, inputs, sender, clock }: BatchServiceOptions,
): Promise<BatchRecord> {
  const file = await findInput(inputFileId, { owner, inputs, param: 'input_file_id' });
  const id = `batch_${randomBytes(16).toString('hex')}`;
  const digest = digestOf(file.id);
  const record: BatchRecord = {
    ...newRecord({ id, owner, digest, now: clock.now() }),
    inputFileId,
    inputBlob: `${INPUT_CONTAINER}/${inputBlob(inputFileId)}`,
    endpoint,
    metadata: metadata === null ? null : { ...metadata },
  };
  try {
    await store.begin(record);
    await sender.send({ v: 1, jobId: id }, { delaySeconds: 0 });
  } catch (error) {
    // Its caller will ask for another one; this one nobody would ever work on.
    await store.discard(record).catch(() => undefined);
    throw error;
  }
  return record;
}

/** A batch as it was found. */
export interface ObservedBatch {
  readonly record: BatchRecord;
  readonly survey: BatchProgress;
}

interface ChangeDependencies {
  readonly store: BatchStore;
  readonly sender: JobSender;
  readonly clock: Clock;
  /** The container of input files. */
  readonly inputs: BlobContainer;
}

/**
 * Stops a batch: running shards notice within seconds, waiting ones are put on the queue to notice
 * now. What is finished stays.
 */
export async function cancelBatch(
  seen: ObservedBatch,
  needs: ChangeDependencies,
): Promise<ObservedBatch> {
  const { record, survey } = seen;
  const outcome = survey.finals.get(record.generation)?.outcome;
  if (outcome === 'cancelled') return seen;
  if (outcome !== undefined) throw wrongStatus('cancel', outcome);
  const cancelledAt = record.cancelledAt ?? new Date(needs.clock.now()).toISOString();
  const changed = await change(needs.store, {
    id: record.id,
    to: (found) => (found.cancelledAt === null ? { ...found, cancelledAt } : found),
  });
  await requeueBatch({ record: changed, survey }, needs.sender);
  return { record: changed, survey };
}

/** Begins the failed items of a batch again. Asked twice, it wakes what is not done yet. */
export async function retryBatch(
  seen: ObservedBatch,
  needs: ChangeDependencies,
): Promise<ObservedBatch> {
  const { survey } = seen;
  const final = survey.finals.get(seen.record.generation);
  if (final === undefined && seen.record.generation === 0) {
    throw wrongStatus('retry the failed items of', 'in_progress');
  }
  if (final?.failed === 0) {
    throw new ServiceError('invalid_request', 'Cannot retry the batch: no item of it failed');
  }
  await requireInput(seen.record, needs.inputs);
  const record = final === undefined ? seen.record : await reopen(seen, needs);
  await requeueBatch({ record, survey }, needs.sender);
  return { record, survey };
}

/** Without it what failed for a reason of its own would fail again for this one. */
async function requireInput(record: BatchRecord, inputs: BlobContainer): Promise<void> {
  if (record.inputBlob === null || (await inputs.facts(inputName(record))) !== undefined) return;
  const message = 'Cannot retry the batch: its input file is gone';
  throw new ServiceError('not_found', message, { param: 'input_file_id' });
}

function reopen(
  { record }: ObservedBatch,
  { store, clock }: ChangeDependencies,
): Promise<BatchRecord> {
  const expiresAt = new Date(clock.now() + COMPLETION_WINDOW_MS).toISOString();
  const generation = record.generation + 1;
  return change(store, {
    id: record.id,
    // Two who ask at once mean the same retry.
    to: (found) =>
      found.generation >= generation
        ? found
        : { ...found, generation, expiresAt, cancelledAt: null },
  });
}

async function change(
  store: BatchStore,
  { id, to }: { readonly id: string; readonly to: (record: BatchRecord) => BatchRecord },
): Promise<BatchRecord> {
  const changed = await store.change(id, to);
  if (changed === undefined) throw new ServiceError('not_found', 'There is no such batch');
  return changed;
}

/** Puts everything that is not done on the queue now. What is there already does no harm. */
export async function requeueBatch(
  { record, survey }: ObservedBatch,
  sender: JobSender,
): Promise<void> {
  const { id, generation } = record;
  const count = shardCount(record, survey);
  if (count === undefined) return sender.send({ v: 1, jobId: id }, { delaySeconds: 0 });
  const settled = new Set(
    survey.shards.filter((one) => isSettled(one, generation)).map(({ shard }) => shard),
  );
  const open = Array.from({ length: count }, (_, shard) => shard).filter((n) => !settled.has(n));
  // With none open the end itself is missing, which any shard writes.
  await sendShards({ id, shards: open.length === 0 ? [0] : open }, sender);
}

function wrongStatus(action: string, status: string): ServiceError {
  return new ServiceError('invalid_request', `Cannot ${action} a batch whose status is ${status}`);
}

/** A message is worked on within this time, or nobody works on any. */
const AGAIN_AFTER_MS = 10 * 60_000;
const MAX_REMEMBERED = 1_000;

/**
 * Wakes a batch that should have expired long ago and has not, for its messages are gone: one more
 * lets it. Looking at it must not fail for that, nor fill the queue however often somebody looks.
 */
export function createStalledBatchRequeuer({
  sender,
  clock,
}: {
  readonly sender: JobSender;
  readonly clock: Clock;
}): (seen: ObservedBatch) => Promise<void> {
  const wokenAt = new Map<string, number>();
  return async (seen) => {
    const now = clock.now();
    const { id } = seen.record;
    if (!isStalled(seen.record, { ...seen, now })) return;
    if (now - (wokenAt.get(id) ?? Number.NEGATIVE_INFINITY) < AGAIN_AFTER_MS) return;
    if (wokenAt.size >= MAX_REMEMBERED) wokenAt.clear();
    wokenAt.set(id, now);
    await requeueBatch(seen, sender).catch(() => wokenAt.delete(id));
  };
}
