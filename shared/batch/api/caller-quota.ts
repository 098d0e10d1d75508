import { ServiceError } from '../../errors.ts';
import type { BlobContainer } from '../../storage/blob-container.ts';
import type { BatchRecord } from '../model/batch-record.ts';
import type { BatchStore } from '../storage/batch-store.ts';
import { storedBytes } from '../storage/file-index.ts';

/** What one caller may have at once. 0 disables a limit. */
export interface CallerQuota {
  readonly maxOpenBatches: number;
  /** In all open batches. */
  readonly maxQueuedItems: number;
  /** Of all files, uploads and results. */
  readonly maxStoredBytes: number;
}

export const NO_QUOTA: CallerQuota = { maxOpenBatches: 0, maxQueuedItems: 0, maxStoredBytes: 0 };

/** A batch may end at any time, and files are deleted by their owner or by the retention rule. */
const RETRY_AFTER_SECONDS = 60;

interface OpeningBatch {
  readonly items: number;
  /** Epoch milliseconds. */
  readonly now: number;
  readonly store: BatchStore;
  readonly quota: CallerQuota;
}

/**
 * Adds a batch to the open ones of its owner.
 * @throws ServiceError rate_limited if the owner has too many
 */
export async function openWithinQuota(
  record: BatchRecord,
  { items, now, store, quota }: OpeningBatch,
): Promise<void> {
  const { maxOpenBatches, maxQueuedItems } = quota;
  const open = await store.addOpen(record, { items, now });
  let error: ServiceError | undefined;
  if (exceeds(open.count, maxOpenBatches)) {
    error = quotaError('open the batch', {
      limit: `at most ${maxOpenBatches} batches of a caller may be open at once`,
      setting: 'batch.max_open_batches',
    });
  } else if (exceeds(open.items, maxQueuedItems)) {
    error = quotaError('open the batch', {
      limit: `the open batches of a caller may have at most ${maxQueuedItems} items`,
      setting: 'batch.max_queued_items',
      param: 'input_file_id',
    });
  }
  if (error === undefined) return;
  await store.removeOpen(record);
  throw error;
}

/** Checks the size of an upload while it is read, and counts its items. */
export interface UploadMeter {
  /** @throws ServiceError rate_limited within the iteration */
  readonly chunks: AsyncIterable<Uint8Array>;
  /** Lines that are not blank, so far. */
  items(): number;
}

interface UploadOptions {
  readonly outputs: BlobContainer;
  readonly owner: string;
  readonly quota: CallerQuota;
}

/** @throws ServiceError rate_limited if the owner has no bytes left */
export async function meterUpload(
  chunks: AsyncIterable<Uint8Array>,
  { outputs, owner, quota }: UploadOptions,
): Promise<UploadMeter> {
  const { maxStoredBytes } = quota;
  let bytes = maxStoredBytes === 0 ? 0 : await storedBytes(outputs, owner);
  const assertFits = (): void => {
    if (exceeds(bytes, maxStoredBytes)) throw storageError(maxStoredBytes);
  };
  if (maxStoredBytes > 0 && bytes >= maxStoredBytes) throw storageError(maxStoredBytes);
  const lines = createLineCounter();
  async function* metered(): AsyncGenerator<Uint8Array> {
    for await (const chunk of chunks) {
      bytes += chunk.byteLength;
      assertFits();
      lines.add(chunk);
      yield chunk;
    }
  }
  return { chunks: metered(), items: lines.count };
}

/**
 * Checks the sum again when the file is in the list, because other uploads may have ended meanwhile.
 * @throws ServiceError rate_limited
 */
export async function assertStored({ outputs, owner, quota }: UploadOptions): Promise<void> {
  const { maxStoredBytes } = quota;
  if (maxStoredBytes === 0) return;
  if (exceeds(await storedBytes(outputs, owner), maxStoredBytes))
    throw storageError(maxStoredBytes);
}

const LINE_FEED = 0x0a;

/** Counts lines with a character that is not blank. */
function createLineCounter() {
  let count = 0;
  let isBlank = true;
  return {
    add(chunk: Uint8Array): void {
      for (const byte of chunk) {
        if (byte === LINE_FEED) isBlank = true;
        else if (isBlank && byte > 0x20) {
          isBlank = false;
          count += 1;
        }
      }
    },
    count: () => count,
  };
}

function exceeds(value: number, limit: number): boolean {
  return limit > 0 && value > limit;
}

function storageError(maxStoredBytes: number): ServiceError {
  return quotaError('store the file', {
    limit: `the files of a caller may have at most ${maxStoredBytes} bytes; delete files that are no longer needed`,
    setting: 'batch.max_stored_bytes',
    param: 'file',
  });
}

interface ExceededLimit {
  readonly limit: string;
  readonly setting: string;
  readonly param?: string;
}

function quotaError(action: string, { limit, setting, param }: ExceededLimit): ServiceError {
  return new ServiceError('rate_limited', `Cannot ${action}: ${limit} (${setting})`, {
    retryAfterSeconds: RETRY_AFTER_SECONDS,
    param,
  });
}
