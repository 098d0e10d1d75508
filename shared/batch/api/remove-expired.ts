import type { BatchStore } from '../storage/batch-store.ts';
import {
  blobPaths,
  inputBlob,
  listIn,
  outputBlob,
  parseOutputFileId,
  shardOf,
} from '../storage/blob-paths.ts';
import { expiredFiles, removeFromFileIndex } from '../storage/file-index.ts';
import type { Clock } from '../../clock.ts';
import type { BlobContainer } from '../../storage/blob-container.ts';
import { describeError } from '../../telemetry/describe-error.ts';
import type { Telemetry } from '../../telemetry/telemetry.ts';

/** The shortest life of a file is an hour, so this is soon enough. */
const INTERVAL_MS = 5 * 60_000;
/** Files of one round; the next round deletes the others. */
const MAX_FILES = 200;

interface RemoverOptions {
  readonly inputs: BlobContainer;
  readonly outputs: BlobContainer;
  readonly store: BatchStore;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
}

/**
 * Deletes expired files. Requests and deliveries call it, and at most one call in five minutes does
 * something. Several instances may do the same at once. It never rejects: the next round repeats
 * what failed, and an expired file is not served meanwhile.
 */
export function createExpiredFileRemover(options: RemoverOptions): () => Promise<void> {
  const { outputs, clock, telemetry } = options;
  let lastAt = Number.NEGATIVE_INFINITY;
  return async () => {
    const now = clock.now();
    if (Math.abs(now - lastAt) < INTERVAL_MS) return;
    lastAt = now;
    let count = 0;
    try {
      for await (const { owner, file } of expiredFiles(outputs, now)) {
        await removeContent(file.id, options);
        await removeFromFileIndex(outputs, { owner, file });
        count += 1;
        if (count >= MAX_FILES) break;
      }
    } catch (error) {
      telemetry.warn('expired files not deleted', { cause: describeError(error) });
    }
    if (count > 0) telemetry.info('expired files deleted', { count });
  };
}

async function removeContent(
  id: string,
  { inputs, outputs, store }: RemoverOptions,
): Promise<void> {
  const output = parseOutputFileId(id);
  if (output === undefined) return void (await inputs.remove(inputBlob(id)));
  await outputs.remove(outputBlob(output));
  const record = await store.find(output.id);
  // A batch whose failed items run again still needs its journals.
  if (record?.generation === output.generation) await emptyJournals(outputs, output.id);
}

/** Deletes the results in the journals of a batch; their metadata keeps the counts. */
async function emptyJournals(container: BlobContainer, id: string): Promise<void> {
  for await (const { name, metadata, bytes } of container.list(`${id}/shard-`)) {
    const shard = shardOf(name);
    const parts = listIn(metadata, 'parts');
    if (shard === undefined || (bytes === 0 && parts.length === 0)) continue;
    const lease = await container.acquireLease(name);
    if (lease === 'busy') throw new Error('Cannot empty a journal that is leased');
    try {
      await lease.restart(lease.metadata);
      for (const part of parts) {
        await container.remove(blobPaths.journalPart(id, { shard, part }));
      }
    } finally {
      await lease.release();
    }
  }
}
