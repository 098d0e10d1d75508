import type { Clock } from '../../clock.ts';
import { ServiceError } from '../../errors.ts';
import type { BatchStore } from '../storage/batch-store.part.ts';
import { isSettled, shardCount } from '../processing/finish-batch.ts';
import type { BlobArea } from '../../storage/blob-container.ts';
import type { JobSender } from '../model/job-sender.ts';
import { sendShards } from '../planning/plan-batch.ts';
import { COMPLETION_WINDOW_MS, type BatchRecord } from '../model/batch-record.ts';
import { inputName } from '../planning/load-shard.ts';
import type { Survey } from '../storage/batch-progress.ts';

/** A batch as it was found. */
export interface SeenBatch {
  readonly record: BatchRecord;
  readonly survey: Survey;
}

interface ChangeNeeds {
  readonly store: BatchStore;
  readonly sender: JobSender;
  readonly clock: Clock;
  /** The container of input files. */
  readonly inputs: BlobArea;
}

/**
 * Stops a batch: running shards notice within seconds, waiting ones are put on the queue to notice
 * now. What is finished stays.
 */
export async function cancelBatch(seen: SeenBatch, needs: ChangeNeeds): Promise<SeenBatch> {
  const { record, survey } = seen;
  const outcome = survey.finals.get(record.generation)?.outcome;
  if (outcome === 'cancelled') return seen;
  if (outcome !== undefined) throw wrongStatus('cancel', outcome);
  const cancelledAt = record.cancelledAt ?? new Date(needs.clock.now()).toISOString();
  const changed = await change(needs.store, {
    id: record.id,
    to: (found) => (found.cancelledAt === null ? { ...found, cancelledAt } : found),
  });
  await wakeBatch({ record: changed, survey }, needs.sender);
  return { record: changed, survey };
}

/** Begins the failed items of a batch again. Asked twice, it wakes what is not done yet. */
export async function retryBatch(seen: SeenBatch, needs: ChangeNeeds): Promise<SeenBatch> {
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
  await wakeBatch({ record, survey }, needs.sender);
  return { record, survey };
}

/** Without it what failed for a reason of its own would fail again for this one. */
async function requireInput(record: BatchRecord, inputs: BlobArea): Promise<void> {
  if (record.inputBlob === null || (await inputs.facts(inputName(record))) !== undefined) return;
  const message = 'Cannot retry the batch: its input file is gone';
  throw new ServiceError('not_found', message, { param: 'input_file_id' });
}

function reopen({ record }: SeenBatch, { store, clock }: ChangeNeeds): Promise<BatchRecord> {
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
export async function wakeBatch({ record, survey }: SeenBatch, sender: JobSender): Promise<void> {
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
