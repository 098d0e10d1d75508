import { Readable } from 'node:stream';
import { ContainerClient, RestError } from '@azure/storage-blob';
import type { Telemetry } from '../telemetry/telemetry.ts';
import { appendOnce } from './append-once.ts';
import type { BlobArea, BlobHold, ByteRange, ListedBlob, NewBlob } from './blob-area.ts';
import { keepLease, LEASE_SECONDS } from './keep-lease.ts';
import { createStoreTime, type StoreTime } from './store-time.ts';
import { STORAGE_RETRIES, type StorageConnection } from './storage-connection.ts';

/** Two blocks of this size are in memory at once while a stream is stored. */
const BLOCK_BYTES = 4_194_304;
const TEXT_TYPE = 'application/x-ndjson';

export interface AzureBlobAreaOptions {
  readonly connection: StorageConnection;
  readonly container: string;
  readonly telemetry: Telemetry;
  /** How often a hold is renewed; storage lets go of it after 15 s. */
  readonly renewEveryMs?: number | undefined;
}

/** A container of Azure Blob Storage. Holds are leases, and every write is conditional. */
export function createAzureBlobArea(options: AzureBlobAreaOptions): BlobArea {
  const container = connect(options);
  const time = createStoreTime();
  return {
    async read(name) {
      const answer = await orAbsent(container.getBlobClient(name).download(), time);
      if (answer === undefined) return undefined;
      const text = await textOf(answer.readableStreamBody);
      return { text, version: answer.etag ?? '' };
    },
    create: (name, blob) => write(container, name, { ...blob, conditions: { ifNoneMatch: '*' } }),
    replace: (name, blob) =>
      write(container, name, { ...blob, conditions: { ifMatch: blob.version } }),
    async facts(name) {
      const found = await orAbsent(container.getBlobClient(name).getProperties(), time);
      if (found === undefined) return undefined;
      return { facts: found.metadata ?? {}, bytes: found.contentLength ?? 0 };
    },
    list: (prefix) => list(container, prefix),
    async stream(name, range) {
      return stream(container, name, range);
    },
    async remove(name) {
      const { succeeded } = await container.getBlobClient(name).deleteIfExists();
      return succeeded;
    },
    hold: (name) => hold(container, name, { ...options, time }),
    now: () => time.now(),
    async ping(signal) {
      await container.getProperties({ abortSignal: signal });
    },
  };
}

function connect({ connection, container }: AzureBlobAreaOptions): ContainerClient {
  const options = { retryOptions: STORAGE_RETRIES };
  if (connection.kind === 'connectionString') {
    return new ContainerClient(connection.connectionString, container, options);
  }
  return new ContainerClient(`${connection.blobUri}/${container}`, connection.credential, options);
}

type Conditions = { readonly ifNoneMatch: string } | { readonly ifMatch: string };

async function write(
  container: ContainerClient,
  name: string,
  {
    content,
    facts = {},
    contentType = TEXT_TYPE,
    conditions,
  }: NewBlob & { conditions: Conditions },
): Promise<boolean> {
  const blob = container.getBlockBlobClient(name);
  const options = {
    conditions,
    metadata: { ...facts },
    blobHTTPHeaders: { blobContentType: contentType },
  };
  try {
    if (typeof content === 'string')
      await blob.upload(content, Buffer.byteLength(content), options);
    else await blob.uploadStream(Readable.from(content), BLOCK_BYTES, 2, options);
    return true;
  } catch (error) {
    if (statusOf(error) === 412 || codeOf(error) === 'BlobAlreadyExists') return false;
    // Whoever committed first threw the blocks of the others away.
    const isOvertaken =
      codeOf(error) === 'InvalidBlockList' || codeOf(error) === 'InvalidBlobOrBlock';
    if (isOvertaken && (await blob.exists())) return false;
    throw error;
  }
}

async function* list(container: ContainerClient, prefix: string): AsyncGenerator<ListedBlob> {
  for await (const item of container.listBlobsFlat({ prefix, includeMetadata: true })) {
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
  range: ByteRange | undefined,
): Promise<AsyncIterable<Uint8Array> | undefined> {
  const count = range === undefined ? undefined : range.end - range.start;
  if (count === 0) return empty();
  const answer = await orAbsent(container.getBlobClient(name).download(range?.start ?? 0, count));
  return answer === undefined ? undefined : bytesOf(answer.readableStreamBody);
}

async function* empty(): AsyncGenerator<Uint8Array> {}

async function* bytesOf(body: NodeJS.ReadableStream | undefined): AsyncGenerator<Uint8Array> {
  for await (const chunk of body ?? []) {
    yield typeof chunk === 'string' ? Buffer.from(chunk) : chunk;
  }
}

async function textOf(body: NodeJS.ReadableStream | undefined): Promise<string> {
  return Buffer.concat(await Array.fromAsync(bytesOf(body))).toString('utf8');
}

async function hold(
  container: ContainerClient,
  name: string,
  { telemetry, renewEveryMs, time }: AzureBlobAreaOptions & { readonly time: StoreTime },
): Promise<BlobHold | 'busy'> {
  const blob = container.getAppendBlobClient(name);
  const askedAt = performance.now();
  const client = blob.getBlobLeaseClient();
  try {
    // A redelivery finds the blob. Only a new one pays for creating it.
    if ((await orAbsent(client.acquireLease(LEASE_SECONDS), time)) === undefined) {
      await blob.createIfNotExists({ blobHTTPHeaders: { blobContentType: TEXT_TYPE } });
      await client.acquireLease(LEASE_SECONDS);
    }
  } catch (error) {
    // 412: another delivery created it just now and holds it already.
    if (statusOf(error) === 409 || statusOf(error) === 412) return 'busy';
    throw error;
  }
  const lease = keepLease(client, {
    askedAt,
    telemetry: telemetry.with({ blob: name }),
    renewEveryMs,
  });
  const conditions = { leaseId: lease.leaseId };
  try {
    const { contentLength = 0 } = await blob.getProperties({ conditions });
    return {
      bytes: contentLength,
      lost: lease.lost,
      append: (lines, position) => appendOnce(blob, { lines, position, leaseId: lease.leaseId }),
      async note(facts) {
        await blob.setMetadata({ ...facts }, { conditions });
      },
      release: () => lease.release(),
    };
  } catch (error) {
    await lease.release();
    throw error;
  }
}

/** What storage answers, or undefined where there is no such blob; either way it tells the time. */
async function orAbsent<T extends { readonly date?: Date }>(
  work: Promise<T>,
  time?: StoreTime,
): Promise<T | undefined> {
  try {
    const answer = await work;
    time?.hear(answer.date);
    return answer;
  } catch (error) {
    if (statusOf(error) !== 404) throw error;
    time?.hear(dateOf(error));
    return undefined;
  }
}

function dateOf(error: unknown): Date | undefined {
  const text = error instanceof RestError ? error.response?.headers.get('date') : undefined;
  return text === undefined ? undefined : new Date(text);
}

function statusOf(error: unknown): number | undefined {
  return error instanceof RestError ? error.statusCode : undefined;
}

function codeOf(error: unknown): string | undefined {
  return error instanceof RestError ? error.code : undefined;
}
