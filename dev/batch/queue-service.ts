import { createHash } from 'node:crypto';
import { createAzureBlobContainer } from '../../shared/storage/azure/azure-blob-container.ts';
import { viewBatch } from '../../shared/batch/api/batch-status.ts';
import { type BatchStore, createBlobBatchStore } from '../../shared/batch/storage/batch-store.ts';
import { createAzureJobSender } from '../../shared/batch/azure-job-queue.ts';
import { resultLineSchema } from '../../shared/batch/model/item.ts';
import { requestTimeouts } from '../../shared/storage/azure/storage-timeouts.ts';
import { INPUT_CONTAINER, RESULT_CONTAINER } from '../../shared/batch/storage-names.ts';
import { systemClock } from '../../shared/clock.ts';
import { noopTelemetry } from '../../shared/telemetry/create-telemetry.ts';
import { CliError } from '../cli-error.ts';
import { requireConnectionString } from '../require-connection-string.ts';
import { ServiceError } from '../../shared/errors.ts';
import { AwayError, type BatchProgress, type BatchService } from './batch-service.ts';

const PIECE_CHARS = 1_048_576;
const LOOKS_WITHIN_MS = 60_000;

/** Batches by the queue of a storage account: a blob of items and a message that points to it. */
export function createQueueService(connectionString: string): BatchService {
  requireConnectionString(connectionString);
  const connection = { kind: 'connectionString', connectionString } as const;
  const telemetry = noopTelemetry;
  const inputs = createAzureBlobContainer({ connection, container: INPUT_CONTAINER, telemetry });
  const area = createAzureBlobContainer({
    connection,
    container: RESULT_CONTAINER,
    telemetry,
    // Somebody looks at the screen, and the next look may do better.
    patience: requestTimeouts(LOOKS_WITHIN_MS),
  });
  const store = createBlobBatchStore({ area, clock: systemClock, telemetry });
  const sender = createAzureJobSender(connection);
  return {
    async submit(jobId, lines) {
      const name = `jobs/${jobId}.jsonl`;
      const facts = { digest: createHash('sha256').update(lines).digest('hex') };
      const isNew = await inputs.create(name, { content: piecesOf(lines), facts });
      const kept = isNew ? facts : (await inputs.facts(name))?.facts;
      if (kept?.['digest'] !== facts.digest) throw otherItems(jobId);
      const job = { v: 1 as const, jobId, inputBlob: `${INPUT_CONTAINER}/${name}` };
      await sender.send(job, { delaySeconds: 0 });
      return jobId;
    },
    look: (id) => look(store, id).catch(awayFrom),
    async *results(id) {
      try {
        for (const kind of ['succeeded', 'failed'] as const) {
          for await (const line of store.results(id, kind)) {
            yield resultLineSchema.parse(JSON.parse(line));
          }
        }
      } catch (error) {
        awayFrom(error);
      }
    },
  };
}

async function look(store: BatchStore, id: string): Promise<BatchProgress> {
  const [record, survey] = await Promise.all([store.find(id), store.survey(id)]);
  if (record === undefined) return { begun: false, done: 0, failed: 0, ended: false };
  const { counts, status, final } = viewBatch(record, { survey, now: Date.now() });
  const plan = status === 'failed' ? await store.plan(record) : undefined;
  return {
    begun: true,
    done: counts.completed + counts.failed,
    failed: counts.failed,
    ended: final !== undefined,
    refused: plan?.errors[0]?.message,
  };
}

function awayFrom(thrown: unknown): never {
  if (!(thrown instanceof ServiceError) || thrown.code !== 'storage_unavailable') throw thrown;
  throw new AwayError(thrown.message, { cause: thrown.cause });
}

/** Piece by piece the upload may take its time; a single one would have to come through at once. */
async function* piecesOf(text: string): AsyncGenerator<string> {
  for (let at = 0; at < text.length; at += PIECE_CHARS) yield text.slice(at, at + PIECE_CHARS);
}

function otherItems(jobId: string): CliError {
  return new CliError(
    `Cannot submit as job ${jobId} must hold the same items as before: choose another --job`,
  );
}
