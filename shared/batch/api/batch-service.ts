import { randomBytes } from 'node:crypto';
import { type BatchView, isStalled, viewBatch } from './batch-status.ts';
import { type CallerQuota, openWithinQuota } from './caller-quota.ts';
import { findInput } from './file-service.ts';
import { inputBlob } from '../storage/blob-paths.ts';
import {
  type BatchRecord,
  COMPLETION_WINDOW_MS,
  canAccess,
  newRecord,
  outputExpiry,
} from '../model/batch-record.ts';
import { digestOf, isJobId, type JobSender } from '../model/job-message.ts';
import { inputName } from '../planning/load-shard.ts';
import { sendLanes } from '../planning/lanes.ts';
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
  readonly outputExpiresAfterSeconds?: number | undefined;
}

/** Batches of one owner. A batch of another owner is reported as not_found. */
export interface BatchService {
  create(request: NewBatchRequest): Promise<BatchView>;
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
  /** The container of input files. */
  readonly inputs: BlobContainer;
  readonly sender: JobSender;
  readonly quota: CallerQuota;
  readonly clock: Clock;
}

export function createBatchService(options: BatchServiceOptions): BatchService {
  const { store, clock } = options;
  const requeueIfStalled = createStalledBatchRequeuer(options);
  const find = (id: string, owner: string) => findBatch(id, { owner, store });
  const view = async ({ record, progress }: ObservedBatch): Promise<BatchView> => {
    const plan = (progress.plan?.errors ?? 0) > 0 ? await store.plan(record) : undefined;
    return { ...viewBatch(record, { progress, now: clock.now() }), errors: plan?.errors ?? [] };
  };
  return {
    async create(request) {
      const record = await createRecord(request, options);
      return view({ record, progress: await store.progress(record.id) });
    },
    async view(id, owner) {
      const batch = await find(id, owner);
      await requeueIfStalled(batch);
      return view(batch);
    },
    async list(owner, { after, limit }) {
      const last = after === undefined ? undefined : await find(after, owner);
      const { ids, hasMore } = await store.list(owner, { after: last?.record, limit });
      const found = await Promise.all(ids.map((id) => find(id, owner).catch(undefinedIfDeleted)));
      const batches = await Promise.all(found.filter((batch) => batch !== undefined).map(view));
      return { batches, hasMore };
    },
    cancel: async (id, owner) => view(await cancelBatch(await find(id, owner), options)),
    retryFailed: async (id, owner) => view(await retryBatch(await find(id, owner), options)),
  };
}

async function findBatch(
  id: string,
  { owner, store }: { readonly owner: string; readonly store: BatchStore },
): Promise<ObservedBatch> {
  // Checks the id first: a listing of another folder could be large.
  const [record, progress] = isJobId(id)
    ? await Promise.all([store.find(id), store.progress(id)])
    : [];
  if (record === undefined || progress === undefined || !canAccess(record, owner)) {
    throw new ServiceError('not_found', 'There is no such batch');
  }
  return { record, progress };
}

/** The retention rule deletes a batch blob by blob; its list entry may be the last of them. */
function undefinedIfDeleted(error: unknown): undefined {
  if (error instanceof ServiceError && error.code === 'not_found') return undefined;
  throw error;
}

async function createRecord(
  request: NewBatchRequest,
  { store, inputs, sender, quota, clock }: BatchServiceOptions,
): Promise<BatchRecord> {
  const { owner, inputFileId, endpoint, metadata, outputExpiresAfterSeconds } = request;
  const file = await findInput(inputFileId, {
    owner,
    inputs,
    now: clock.now(),
    param: 'input_file_id',
  });
  const id = `batch_${randomBytes(16).toString('hex')}`;
  const digest = digestOf(file.id);
  const record: BatchRecord = {
    ...newRecord({ id, owner, digest, now: clock.now() }),
    inputFileId,
    inputBlob: `${INPUT_CONTAINER}/${inputBlob(inputFileId)}`,
    endpoint,
    metadata: metadata === null ? null : { ...metadata },
    ...(outputExpiresAfterSeconds === undefined ? {} : { outputExpiresAfterSeconds }),
  };
  await openWithinQuota(record, { items: file.items ?? 0, now: clock.now(), store, quota });
  try {
    await store.createOrGet(record);
    await sender.send({ v: 1, jobId: id }, { delaySeconds: 0 });
  } catch (error) {
    // Without its message the batch would never run, and the caller creates another one.
    await store.discard(record).catch(() => undefined);
    throw error;
  }
  return record;
}

/** A batch as it was read from storage. */
export interface ObservedBatch {
  readonly record: BatchRecord;
  readonly progress: BatchProgress;
}

/**
 * Cancels a batch. Running shards notice within seconds; waiting ones are queued so that they
 * notice now. Finished items keep their results.
 */
async function cancelBatch(
  batch: ObservedBatch,
  options: BatchServiceOptions,
): Promise<ObservedBatch> {
  const { clock } = options;
  const { record, progress } = batch;
  const outcome = progress.finals.get(record.generation)?.outcome;
  if (outcome === 'cancelled') return batch;
  if (outcome !== undefined) throw wrongStatus('cancel', outcome);
  const cancelledAt = record.cancelledAt ?? new Date(clock.now()).toISOString();
  const changed = await changeAndQueue(batch, {
    options,
    change: (found) => (found.cancelledAt === null ? { ...found, cancelledAt } : found),
  });
  return { record: changed, progress };
}

/** Reopens the failed items of a batch. A second call means the same retry. */
async function retryBatch(
  batch: ObservedBatch,
  options: BatchServiceOptions,
): Promise<ObservedBatch> {
  const { record, progress } = batch;
  const final = progress.finals.get(record.generation);
  if (final === undefined && record.generation === 0) {
    throw wrongStatus('retry the failed items of', 'in_progress');
  }
  if (final?.failed === 0) {
    throw new ServiceError('invalid_request', 'Cannot retry the batch: no item of it failed');
  }
  if (final !== undefined && (outputExpiry(record, final.at) ?? Infinity) <= options.clock.now()) {
    throw new ServiceError('invalid_request', 'Cannot retry the batch: its results have expired');
  }
  await requireInput(record, options.inputs);
  const now = options.clock.now();
  if (final !== undefined) await openWithinQuota(record, { ...options, items: final.failed, now });
  const expiresAt = new Date(now + COMPLETION_WINDOW_MS).toISOString();
  const generation = record.generation + (final === undefined ? 0 : 1);
  const changed = await changeAndQueue(batch, {
    options,
    // Two concurrent calls mean the same retry.
    change: (found) =>
      found.generation >= generation
        ? found
        : { ...found, generation, expiresAt, cancelledAt: null },
  });
  return { record: changed, progress };
}

/** The messages of a batch are not sent again within this time, however often a client calls. */
const QUEUE_INTERVAL_MS = 60_000;

interface RecordChange {
  readonly options: BatchServiceOptions;
  readonly change: (record: BatchRecord) => BatchRecord;
}

/** Changes a record and queues its open shards, unless it is unchanged and they were queued just now. */
async function changeAndQueue(
  { record: { id }, progress }: ObservedBatch,
  { options: { store, sender, clock }, change }: RecordChange,
): Promise<BatchRecord> {
  let mustQueue = false;
  const changed = await changeRecord(store, {
    id,
    change(found) {
      const next = change(found);
      const now = clock.now();
      mustQueue = next !== found || now > Date.parse(found.queuedAt ?? '1970') + QUEUE_INTERVAL_MS;
      return mustQueue ? { ...next, queuedAt: new Date(now).toISOString() } : found;
    },
  });
  if (!mustQueue) return changed;
  try {
    await sendLanes(changed, { progress, sender });
  } catch (error) {
    const clearQueuedAt = (found: BatchRecord): BatchRecord => ({ ...found, queuedAt: null });
    await store.change(id, clearQueuedAt).catch(() => undefined);
    throw error;
  }
  return changed;
}

/** Without its input every reopened item would fail with input_not_found. */
async function requireInput(record: BatchRecord, inputs: BlobContainer): Promise<void> {
  if (record.inputBlob === null) return;
  if ((await inputs.properties(inputName(record))) !== undefined) return;
  const message = 'Cannot retry the batch: its input file was deleted';
  throw new ServiceError('not_found', message, { param: 'input_file_id' });
}

async function changeRecord(
  store: BatchStore,
  { id, change }: { readonly id: string; readonly change: (record: BatchRecord) => BatchRecord },
): Promise<BatchRecord> {
  const changed = await store.change(id, change);
  if (changed === undefined) throw new ServiceError('not_found', 'There is no such batch');
  return changed;
}

function wrongStatus(action: string, status: string): ServiceError {
  return new ServiceError('invalid_request', `Cannot ${action} a batch whose status is ${status}`);
}

/** A queued message is delivered within this time, or no consumer is running. */
const REQUEUE_INTERVAL_MS = 10 * 60_000;
const MAX_REMEMBERED = 1_000;

/**
 * Requeues a stalled batch when it is viewed, so that it can expire. A failure does not fail the
 * view, and repeated views send one set of messages per interval.
 */
export function createStalledBatchRequeuer({
  sender,
  clock,
}: {
  readonly sender: JobSender;
  readonly clock: Clock;
}): (batch: ObservedBatch) => Promise<void> {
  const requeuedAt = new Map<string, number>();
  return async (batch) => {
    const now = clock.now();
    const { id } = batch.record;
    if (!isStalled(batch.record, { ...batch, now })) return;
    if (now - (requeuedAt.get(id) ?? Number.NEGATIVE_INFINITY) < REQUEUE_INTERVAL_MS) return;
    if (requeuedAt.size >= MAX_REMEMBERED) requeuedAt.clear();
    requeuedAt.set(id, now);
    await sendLanes(batch.record, { ...batch, sender }).catch(() => requeuedAt.delete(id));
  };
}
