import { Readable } from 'node:stream';
import { ContainerClient } from '@azure/storage-blob';
import type { Telemetry } from '../../telemetry/telemetry.ts';
import type { BlobContainer, ByteRange, ListedBlob, NewBlob } from '../blob-container.ts';
import { acquireBlobLease } from './blob-lease.ts';
import {
  createServerClock,
  BACKGROUND_TIMEOUTS,
  type StorageConnection,
  type StorageTimeouts,
  type StorageCallTimer,
  createStorageCallTimer,
} from './storage-timeouts.ts';
import { codeOf, dateOfFailure, isNotFound, statusOf } from './storage-errors.ts';

/** Two blocks of this size are in memory at once while a stream is stored. */
const BLOCK_BYTES = 4_194_304;
const TEXT_TYPE = 'application/x-ndjson';

export interface AzureBlobContainerOptions {
  readonly connection: StorageConnection;
  readonly container: string;
  readonly telemetry: Telemetry;
  readonly patience?: StorageTimeouts;
  /** How often a hold is renewed; storage lets go of it after 15 s. */
  readonly renewEveryMs?: number | undefined;
}

/**
 * A container of Azure Blob Storage. Holds are leases, and every write is conditional. Whatever goes
 * wrong on the way is thrown as `storage_unavailable`, or `config_unavailable` where storage refuses.
 */
export function createAzureBlobContainer(options: AzureBlobContainerOptions): BlobContainer {
  const container = connect(options);
  const { callMs } = options.patience ?? BACKGROUND_TIMEOUTS;
  const watch = () => createStorageCallTimer(callMs);
  const time = createServerClock();
  /** One call with its whole answer, in time. Whatever the answer is, it tells the time. */
  const ask = async <T>(call: (abortSignal: AbortSignal) => Promise<T>): Promise<T> => {
    const watching = watch();
    try {
      const answer = await watching.answer(call(watching.signal));
      time.hear(dateOf(answer));
      return answer;
    } catch (error) {
      time.hear(dateOfFailure(error));
      throw error;
    }
  };
  return {
    read: (name) => orAbsent(ask((abortSignal) => read(container, name, abortSignal))),
    create: (name, blob) =>
      write(container, name, { ...blob, conditions: { ifNoneMatch: '*' }, watch: watch() }),
    replace: (name, { version, ...blob }) =>
      write(container, name, { ...blob, conditions: { ifMatch: version }, watch: watch() }),
    async facts(name) {
      const blob = container.getBlobClient(name);
      const found = await orAbsent(ask((abortSignal) => blob.getProperties({ abortSignal })));
      if (found === undefined) return undefined;
      return { facts: found.metadata ?? {}, bytes: found.contentLength ?? 0 };
    },
    list: (prefix) => list(container, prefix, watch()),
    stream: (name, range) => stream(container, name, { range, watch: watch() }),
    async remove(name) {
      const blob = container.getBlobClient(name);
      return (await orAbsent(ask((abortSignal) => blob.delete({ abortSignal })))) !== undefined;
    },
    now: () => time.now(),
    hold: (name) => acquireBlobLease(container.getAppendBlobClient(name), { ...options, ask }),
    ping: async (signal) =>
      void (await ask(() => container.getProperties({ abortSignal: signal }))),
  };
}

function connect({
  connection,
  container,
  patience = BACKGROUND_TIMEOUTS,
}: AzureBlobContainerOptions): ContainerClient {
  const { retryOptions } = patience;
  if (connection.kind === 'connectionString') {
    return new ContainerClient(connection.connectionString, container, { retryOptions });
  }
  const url = `${connection.blobUri}/${container}`;
  return new ContainerClient(url, connection.credential, { retryOptions });
}

async function read(container: ContainerClient, name: string, abortSignal: AbortSignal) {
  const answer = await container
    .getBlobClient(name)
    .download(undefined, undefined, { abortSignal });
  const chunks = await Array.fromAsync(bytesOf(answer.readableStreamBody));
  const text = Buffer.concat(chunks).toString('utf8');
  return { text, version: answer.etag ?? '', date: answer.date };
}

type Conditions = { readonly ifNoneMatch: string } | { readonly ifMatch: string };

interface Write extends NewBlob {
  readonly conditions: Conditions;
  readonly watch: StorageCallTimer;
}

async function write(
  container: ContainerClient,
  name: string,
  { content, facts = {}, contentType = TEXT_TYPE, conditions, watch }: Write,
): Promise<boolean> {
  const blob = container.getBlockBlobClient(name);
  const options = {
    conditions,
    metadata: { ...facts },
    blobHTTPHeaders: { blobContentType: contentType },
    abortSignal: watch.signal,
  };
  const storing =
    typeof content === 'string'
      ? blob.upload(content, Buffer.byteLength(content), options)
      : blob.uploadStream(Readable.from(watch.taken(content)), BLOCK_BYTES, 2, options);
  try {
    await watch.answer<unknown>(storing);
    return true;
  } catch (error) {
    if (statusOf(error) === 412 || codeOf(error) === 'BlobAlreadyExists') return false;
    // Whoever committed first threw the blocks of the others away.
    const isOvertaken =
      codeOf(error) === 'InvalidBlockList' || codeOf(error) === 'InvalidBlobOrBlock';
    if (isOvertaken && (await watch.answer(blob.exists()))) return false;
    throw error;
  }
}

async function* list(
  container: ContainerClient,
  prefix: string,
  watch: StorageCallTimer,
): AsyncGenerator<ListedBlob> {
  const options = { prefix, includeMetadata: true, abortSignal: watch.signal };
  for await (const item of watch.pieces(container.listBlobsFlat(options))) {
    yield {
      name: item.name,
      facts: item.metadata ?? {},
      bytes: item.properties.contentLength ?? 0,
      held: item.properties.leaseState === 'leased',
    };
  }
}

async function stream(
  container: ContainerClient,
  name: string,
  { range, watch }: { readonly range: ByteRange | undefined; readonly watch: StorageCallTimer },
): Promise<AsyncIterable<Uint8Array> | undefined> {
  const count = range === undefined ? undefined : range.end - range.start;
  if (count === 0) return empty();
  const options = { abortSignal: watch.signal };
  const opening = container.getBlobClient(name).download(range?.start ?? 0, count, options);
  const answer = await orAbsent(watch.answer(opening));
  return answer === undefined ? undefined : watch.pieces(bytesOf(answer.readableStreamBody));
}

async function* empty(): AsyncGenerator<Uint8Array> {}

async function* bytesOf(body: NodeJS.ReadableStream | undefined): AsyncGenerator<Uint8Array> {
  for await (const chunk of body ?? []) {
    yield typeof chunk === 'string' ? Buffer.from(chunk) : chunk;
  }
}

function dateOf(answer: unknown): Date | undefined {
  if (typeof answer !== 'object' || answer === null || !('date' in answer)) return undefined;
  return answer.date instanceof Date ? answer.date : undefined;
}

async function orAbsent<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}
