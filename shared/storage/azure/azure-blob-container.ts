import { randomUUID } from 'node:crypto';
import { Readable } from 'node:stream';
import { ContainerClient } from '@azure/storage-blob';
import type { Telemetry } from '../../telemetry/telemetry.ts';
import type { BlobContainer, ByteRange, ListedBlob, NewBlob } from '../blob-container.ts';
import { acquireBlobLease, createAppendBlob } from './blob-lease.ts';
import {
  createServerClock,
  BACKGROUND_TIMEOUTS,
  type StorageConnection,
  type StorageTimeouts,
  type StorageCallTimer,
  createStorageCallTimer,
} from './storage-timeouts.ts';
import { dateOfFailure, storageRefusalOf } from './storage-errors.ts';

/** Two blocks of this size are in memory at once while a stream is uploaded. */
const BLOCK_BYTES = 4_194_304;
/** The metadata key of the id that each write has. */
const WRITE_ID = 'writeid';
const TEXT_TYPE = 'application/x-ndjson';

export interface AzureBlobContainerOptions {
  readonly connection: StorageConnection;
  readonly container: string;
  readonly telemetry: Telemetry;
  readonly timeouts?: StorageTimeouts;
  /** How often a lease is renewed; it expires after 15 s. */
  readonly renewEveryMs?: number | undefined;
}

/**
 * A container of Azure Blob Storage. Every write is conditional.
 * @throws ServiceError storage_unavailable, or config_unavailable where storage denies access
 */
export function createAzureBlobContainer(options: AzureBlobContainerOptions): BlobContainer {
  const container = connect(options);
  const { callMs } = options.timeouts ?? BACKGROUND_TIMEOUTS;
  const startTimer = () => createStorageCallTimer(callMs);
  const serverClock = createServerClock();
  /** Makes one call with a timeout. Error responses update the server clock too. */
  const call = async <T>(send: (abortSignal: AbortSignal) => Promise<T>): Promise<T> => {
    const timer = startTimer();
    try {
      const response = await timer.call(send(timer.signal));
      serverClock.observe(dateOf(response));
      return response;
    } catch (error) {
      serverClock.observe(dateOfFailure(error));
      throw error;
    }
  };
  return {
    read: (name) => orUndefined(call((abortSignal) => read(container, name, abortSignal))),
    create: (name, blob) =>
      write(container, name, { ...blob, conditions: { ifNoneMatch: '*' }, timer: startTimer() }),
    replace: (name, { version, ...blob }) =>
      write(container, name, { ...blob, conditions: { ifMatch: version }, timer: startTimer() }),
    async properties(name) {
      const blob = container.getBlobClient(name);
      const found = await orUndefined(call((abortSignal) => blob.getProperties({ abortSignal })));
      if (found === undefined) return undefined;
      return {
        metadata: found.metadata ?? {},
        bytes: found.contentLength ?? 0,
        changedAt: found.lastModified?.getTime() ?? 0,
      };
    },
    async setMetadata(name, metadata) {
      const blob = container.getBlobClient(name);
      await call((abortSignal) => blob.setMetadata({ ...metadata }, { abortSignal }));
    },
    list: (prefix) => list(container, prefix, startTimer()),
    stream: (name, range) => stream(container, name, { range, timer: startTimer() }),
    async remove(name) {
      const blob = container.getBlobClient(name);
      const removed = await orUndefined(call((abortSignal) => blob.delete({ abortSignal })));
      return removed !== undefined;
    },
    now: () => serverClock.now(),
    async acquireLease(name) {
      const blob = container.getAppendBlobClient(name);
      const lease = await acquireBlobLease(blob, { ...options, call, mayCreate: true });
      return lease === 'missing' ? 'busy' : lease;
    },
    acquireExistingLease: (name) =>
      acquireBlobLease(container.getAppendBlobClient(name), { ...options, call, mayCreate: false }),
    createJournal: (name, lines) =>
      createAppendBlob(container.getAppendBlobClient(name), { lines, call }),
    ping: async (signal) =>
      void (await call(() => container.getProperties({ abortSignal: signal }))),
  };
}

function connect({
  connection,
  container,
  timeouts = BACKGROUND_TIMEOUTS,
}: AzureBlobContainerOptions): ContainerClient {
  const { retryOptions } = timeouts;
  if (connection.kind === 'connectionString') {
    return new ContainerClient(connection.connectionString, container, { retryOptions });
  }
  const url = `${connection.blobUri}/${container}`;
  return new ContainerClient(url, connection.credential, { retryOptions });
}

async function read(container: ContainerClient, name: string, abortSignal: AbortSignal) {
  const response = await container
    .getBlobClient(name)
    .download(undefined, undefined, { abortSignal });
  const chunks = await Array.fromAsync(bytesOf(response.readableStreamBody));
  const text = Buffer.concat(chunks).toString('utf8');
  return { text, version: response.etag ?? '', date: response.date };
}

interface WriteRequest extends NewBlob {
  readonly conditions: { readonly ifNoneMatch: string } | { readonly ifMatch: string };
  readonly timer: StorageCallTimer;
}

/**
 * Resolves to false if the condition is not met. The client library repeats a write whose answer
 * was lost, and its own first request may be why the condition is not met; the id shows that.
 */
async function write(
  container: ContainerClient,
  name: string,
  { content, metadata = {}, contentType = TEXT_TYPE, conditions, timer }: WriteRequest,
): Promise<boolean> {
  const blob = container.getBlockBlobClient(name);
  const id = randomUUID();
  const options = {
    conditions,
    metadata: { ...metadata, [WRITE_ID]: id },
    blobHTTPHeaders: { blobContentType: contentType },
    abortSignal: timer.signal,
  };
  const upload =
    typeof content === 'string'
      ? blob.upload(content, Buffer.byteLength(content), options)
      : blob.uploadStream(Readable.from(timer.upload(content)), BLOCK_BYTES, 2, options);
  try {
    await timer.call<unknown>(upload);
    return true;
  } catch (error) {
    if (storageRefusalOf(error) !== 'conflict') throw error;
    const abortSignal = timer.signal;
    const found = await orUndefined(timer.call(blob.getProperties({ abortSignal })));
    if (found === undefined) throw error;
    return found.metadata?.[WRITE_ID] === id;
  }
}

async function* list(
  container: ContainerClient,
  prefix: string,
  timer: StorageCallTimer,
): AsyncGenerator<ListedBlob> {
  const options = { prefix, includeMetadata: true, abortSignal: timer.signal };
  for await (const item of timer.download(container.listBlobsFlat(options))) {
    yield {
      name: item.name,
      metadata: item.metadata ?? {},
      bytes: item.properties.contentLength ?? 0,
      changedAt: item.properties.lastModified.getTime(),
      isLeased: item.properties.leaseState === 'leased',
    };
  }
}

async function stream(
  container: ContainerClient,
  name: string,
  { range, timer }: { readonly range: ByteRange | undefined; readonly timer: StorageCallTimer },
): Promise<AsyncIterable<Uint8Array> | undefined> {
  const count = range === undefined ? undefined : range.end - range.start;
  if (count === 0) return noBytes();
  const options = { abortSignal: timer.signal };
  const opening = container.getBlobClient(name).download(range?.start ?? 0, count, options);
  const response = await orUndefined(timer.call(opening));
  return response === undefined ? undefined : timer.download(bytesOf(response.readableStreamBody));
}

async function* noBytes(): AsyncGenerator<Uint8Array> {}

async function* bytesOf(body: NodeJS.ReadableStream | undefined): AsyncGenerator<Uint8Array> {
  for await (const chunk of body ?? []) {
    yield typeof chunk === 'string' ? Buffer.from(chunk) : chunk;
  }
}

function dateOf(response: unknown): Date | undefined {
  if (typeof response !== 'object' || response === null || !('date' in response)) return undefined;
  return response.date instanceof Date ? response.date : undefined;
}

/** Undefined if the blob does not exist. */
async function orUndefined<T>(pending: Promise<T>): Promise<T | undefined> {
  try {
    return await pending;
  } catch (error) {
    if (storageRefusalOf(error) === 'gone') return undefined;
    throw error;
  }
}
