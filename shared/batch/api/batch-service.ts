import { randomBytes } from 'node:crypto';
import type { Clock } from '../../clock.ts';
import { ServiceError } from '../../errors.ts';
import type { BatchStore } from '../storage/batch-store.part.ts';
import { viewBatch, type BatchView } from './batch-status.ts';
import type { BlobArea } from '../../storage/blob-container.ts';
import { findInput, inputBlob } from './file-service.ts';
import { cancelBatch, retryBatch, type SeenBatch } from './change-batch.ts';
import { createLostWaker } from './wake-lost.ts';
import type { JobSender } from '../model/job-sender.ts';
import { digestOf, isJobId } from '../model/job-message.ts';
import { mayAsk } from '../model/owner.ts';
import { newRecord, type BatchRecord } from '../model/batch-record.ts';
import { INPUT_CONTAINER } from '../storage-names.ts';

export interface WantedBatch {
  readonly owner: string;
  readonly inputFileId: string;
  readonly endpoint: string;
  readonly metadata: Readonly<Record<string, string>> | null;
}

/** Batches as callers see them. One of somebody else is not there: not_found. */
export interface BatchDesk {
  create(wanted: WantedBatch): Promise<BatchView>;
  view(id: string, owner: string): Promise<BatchView>;
  list(
    owner: string,
    page: { readonly after: string | undefined; readonly limit: number },
  ): Promise<{ readonly batches: readonly BatchView[]; readonly hasMore: boolean }>;
  cancel(id: string, owner: string): Promise<BatchView>;
  retryFailed(id: string, owner: string): Promise<BatchView>;
}

export interface BatchDeskOptions {
  readonly store: BatchStore;
  readonly inputs: BlobArea;
  readonly sender: JobSender;
  readonly clock: Clock;
}

export function createBatchDesk(options: BatchDeskOptions): BatchDesk {
  const { store, clock } = options;
  const wakeIfLost = createLostWaker(options);
  const look = (id: string, owner: string) => findBatch(id, { owner, store });
  const view = async ({ record, survey }: SeenBatch): Promise<BatchView> => {
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
): Promise<SeenBatch> {
  // Other folders are no batches, and may be large.
  const [record, survey] = isJobId(id) ? await Promise.all([store.find(id), store.survey(id)]) : [];
  if (record === undefined || survey === undefined || !mayAsk(record, owner)) {
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
  { owner, inputFileId, endpoint, metadata }: WantedBatch,
  { store, inputs, sender, clock }: BatchDeskOptions,
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
