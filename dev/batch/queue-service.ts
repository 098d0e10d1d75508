import { createHash } from 'node:crypto';
import { createAzureBlobContainer } from '../../shared/storage/azure/azure-blob-container.ts';
import { viewBatch } from '../../shared/batch/api/batch-status.ts';
import { type BatchStore, createBlobBatchStore } from '../../shared/batch/storage/batch-store.ts';
import { createAzureJobSender } from '../../shared/batch/azure-job-queue.ts';
import { resultLineSchema } from '../../shared/batch/model/item.ts';
import {
  requestTimeouts,
  type StorageConnection,
} from '../../shared/storage/azure/storage-timeouts.ts';
import { INPUT_CONTAINER, RESULT_CONTAINER } from '../../shared/batch/storage-names.ts';
import { systemClock } from '../../shared/clock.ts';
import { noopTelemetry } from '../../shared/telemetry/create-telemetry.ts';
import { CliError } from '../cli-error.ts';
import { ServiceError } from '../../shared/errors.ts';
import { UnavailableError, type BatchProgress, type BatchService } from './batch-service.ts';

const CHUNK_CHARS = 1_048_576;
const PROGRESS_DEADLINE_MS = 60_000;

/** Submits batches over the queue: a blob of items and a message that names it. */
export function createQueueService(connection: StorageConnection): BatchService {
  const telemetry = noopTelemetry;
  const inputs = createAzureBlobContainer({ connection, container: INPUT_CONTAINER, telemetry });
  const results = createAzureBlobContainer({
    connection,
    container: RESULT_CONTAINER,
    telemetry,
    // A user watches the progress, and the next request may succeed.
    timeouts: requestTimeouts(PROGRESS_DEADLINE_MS),
  });
  const store = createBlobBatchStore({ container: results, clock: systemClock, telemetry });
  const sender = createAzureJobSender(connection);
  return {
    async submit(jobId, lines) {
      const name = `jobs/${jobId}.jsonl`;
      const metadata = { digest: createHash('sha256').update(lines).digest('hex') };
      const isNew = await inputs.create(name, { content: chunksOf(lines), metadata });
      const stored = isNew ? metadata : (await inputs.properties(name))?.metadata;
      if (stored?.['digest'] !== metadata.digest) throw otherItems(jobId);
      const job = { v: 1 as const, jobId, inputBlob: `${INPUT_CONTAINER}/${name}` };
      await sender.send(job, { delaySeconds: 0 });
      return jobId;
    },
    progress: (id) => readProgress(store, id).catch(toUnavailableError),
    async *results(id) {
      try {
        for (const kind of ['succeeded', 'failed'] as const) {
          for await (const line of store.results(id, kind)) {
            yield resultLineSchema.parse(JSON.parse(line));
          }
        }
      } catch (error) {
        toUnavailableError(error);
      }
    },
  };
}

async function readProgress(store: BatchStore, id: string): Promise<BatchProgress> {
  const [record, progress] = await Promise.all([store.find(id), store.progress(id)]);
  if (record === undefined) return { started: false, done: 0, failed: 0, ended: false };
  const { counts, status, final } = viewBatch(record, { progress, now: Date.now() });
  const plan = status === 'failed' ? await store.plan(record) : undefined;
  return {
    started: true,
    done: counts.completed + counts.failed,
    failed: counts.failed,
    ended: final !== undefined,
    rejected: plan?.errors[0]?.message,
  };
}

function toUnavailableError(thrown: unknown): never {
  if (!(thrown instanceof ServiceError) || thrown.code !== 'storage_unavailable') throw thrown;
  throw new UnavailableError(thrown.message, { cause: thrown.cause });
}

/** In chunks, because the storage timeout applies to each chunk of an upload. */
async function* chunksOf(text: string): AsyncGenerator<string> {
  for (let at = 0; at < text.length; at += CHUNK_CHARS) yield text.slice(at, at + CHUNK_CHARS);
}

function otherItems(jobId: string): CliError {
  return new CliError(
    `Cannot submit as job ${jobId} must hold the same items as before: choose another --job`,
  );
}
