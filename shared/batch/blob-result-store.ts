import { ContainerClient, RestError } from '@azure/storage-blob';
import type { Clock } from '../clock.ts';
import type { Telemetry } from '../telemetry/telemetry.ts';
import { holdJournal } from './blob-journal.ts';
import { digestOf, isJobId } from './job.ts';
import { readJournal } from './journal.ts';
import type { JobView } from './result.ts';
import type { DeadLetter, ResultStore } from './result-store.ts';
import { STORAGE_RETRIES, type StorageConnection } from './storage-connection.ts';
import { RESULT_CONTAINER } from './storage-names.ts';

const MAX_DEAD_LETTER_CHARS = 100_000;

export interface BlobResultStoreOptions {
  readonly connection: StorageConnection;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
  /** How often a hold is renewed; storage lets go of it after 15 s. */
  readonly renewEveryMs?: number;
}

/** Journals as append blobs: each append is atomic, and a lease keeps other writers out. */
export function createBlobResultStore(options: BlobResultStoreOptions): ResultStore {
  const { clock, telemetry, renewEveryMs } = options;
  const container = connect(options.connection);
  return {
    async open(job) {
      const journal = journalOf(container, job.jobId);
      const hold = await holdJournal(journal, { job, clock, telemetry, renewEveryMs });
      if (hold === 'busy') return 'busy';
      if (hold.view.digest === digestOf(job)) return hold;
      await hold.release();
      return 'conflict';
    },
    read: (jobId) => readJob(container, jobId),
    recordDeadLetter: (letter) => writeDeadLetter(container, { letter, clock }),
    async ping(signal) {
      await container.getProperties({ abortSignal: signal });
    },
  };
}

function connect(connection: StorageConnection): ContainerClient {
  const options = { retryOptions: STORAGE_RETRIES };
  if (connection.kind === 'connectionString') {
    return new ContainerClient(connection.connectionString, RESULT_CONTAINER, options);
  }
  return new ContainerClient(
    `${connection.blobUri}/${RESULT_CONTAINER}`,
    connection.credential,
    options,
  );
}

function journalOf(container: ContainerClient, jobId: string) {
  return container.getAppendBlobClient(`${jobId}/journal.jsonl`);
}

async function readJob(container: ContainerClient, jobId: string): Promise<JobView | undefined> {
  if (!isJobId(jobId)) return undefined;
  try {
    const bytes = await journalOf(container, jobId).downloadToBuffer();
    return readJournal(jobId, bytes.toString('utf8'));
  } catch (error) {
    if (error instanceof RestError && error.statusCode === 404) return undefined;
    throw error;
  }
}

async function writeDeadLetter(
  container: ContainerClient,
  { letter, clock }: { letter: DeadLetter; clock: Clock },
): Promise<void> {
  const at = new Date(clock.now()).toISOString();
  const message = writeDown(letter.message).slice(0, MAX_DEAD_LETTER_CHARS);
  const record = { ...letter, at, message };
  const body = JSON.stringify(record);
  const name = `_dead-letters/${at.slice(0, 10)}/${crypto.randomUUID()}.json`;
  await container.getBlockBlobClient(name).upload(body, Buffer.byteLength(body), {
    blobHTTPHeaders: { blobContentType: 'application/json' },
  });
}

/** A letter must be kept even when its message is nested so deeply that it cannot be written. */
function writeDown(message: unknown): string {
  try {
    return JSON.stringify(message) ?? 'undefined';
  } catch (error) {
    return `cannot be written: ${error instanceof Error ? error.message : typeof error}`;
  }
}
