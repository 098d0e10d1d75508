import { randomBytes } from 'node:crypto';
import { type BatchRecord, canAccess } from '../model/batch-record.ts';
import type { BatchStore } from '../storage/batch-store.ts';
import {
  blobPaths,
  inputBlob,
  outputBlob,
  type OutputFile,
  outputFileId,
  outputFilename,
  ownerHash,
  parseOutputFileId,
} from '../storage/blob-paths.ts';
import {
  addToFileIndex,
  decodeFilename,
  encodeFilename,
  expiryMetadata,
  expiryOf,
  type FilePage,
  type IndexedFile,
  listFiles,
  removeFromFileIndex,
} from '../storage/file-index.ts';
import { assertStored, type CallerQuota, meterUpload } from './caller-quota.ts';
import { createExpiredFileRemover } from './remove-expired.ts';
import type { Clock } from '../../clock.ts';
import { ServiceError } from '../../errors.ts';
import type { BlobContainer, BlobMetadata } from '../../storage/blob-container.ts';
import type { Telemetry } from '../../telemetry/telemetry.ts';

/** A file in the shape of OpenAI's API. */
export interface FileObject {
  readonly id: string;
  readonly object: 'file';
  readonly bytes: number;
  readonly created_at: number;
  readonly filename: string;
  readonly purpose: 'batch' | 'batch_output';
  readonly status: 'processed';
  /** Absent if only the retention rule deletes the file. */
  readonly expires_at?: number;
}

export interface FileContent {
  readonly chunks: AsyncIterable<Uint8Array>;
  /** Undefined while the file grows. */
  readonly bytes: number | undefined;
}

export interface NewFile {
  readonly owner: string;
  readonly filename: string;
  /** Stored while it is read. If it throws, the error is rethrown and no file is stored. */
  readonly chunks: AsyncIterable<Uint8Array>;
}

/** Input and output files of batches. A file of another owner is reported as not_found. */
export interface FileService {
  create(file: NewFile): Promise<FileObject>;
  find(id: string, owner: string): Promise<FileObject>;
  content(id: string, owner: string): Promise<FileContent>;
  remove(id: string, owner: string): Promise<void>;
  /** Limits the life of an input file, counted from its creation. */
  expireAfter(
    id: string,
    life: { readonly owner: string; readonly seconds: number },
  ): Promise<FileObject>;
  /** @throws ServiceError not_found if the file to continue after is not in the list */
  list(
    owner: string,
    page: FilePage,
  ): Promise<{ readonly files: readonly FileObject[]; readonly hasMore: boolean }>;
  /** Deletes the files whose time has passed, at most once in five minutes. Never rejects. */
  removeExpired(): Promise<void>;
}

export interface FileServiceOptions {
  readonly inputs: BlobContainer;
  readonly outputs: BlobContainer;
  readonly store: BatchStore;
  readonly quota: CallerQuota;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
}

const INPUT_FILE_ID = /^file-[0-9a-f]{32}$/;

export function createFileService(options: FileServiceOptions): FileService {
  const { inputs, outputs, clock } = options;
  return {
    create: (file) => createInput(file, options),
    async expireAfter(id, { owner, seconds }) {
      const found = await findInput(id, { owner, inputs, now: clock.now() });
      const file = { ...found, expiresAt: found.createdAt + seconds * 1_000 };
      await inputs.setMetadata(inputBlob(id), metadataOf(owner, file));
      await removeFromFileIndex(outputs, { owner, file: found });
      await addToFileIndex(outputs, { owner, file });
      return toFileObject(file);
    },
    async list(owner, page) {
      const found = await listFiles(outputs, { owner, page, now: clock.now() });
      if (found === undefined) throw notFound('after');
      return { files: found.files.map(toFileObject), hasMore: found.hasMore };
    },
    removeExpired: createExpiredFileRemover(options),
    async find(id, owner) {
      const output = await findOutput(id, { owner, options });
      return toFileObject(
        output === undefined
          ? await findInput(id, { owner, inputs, now: clock.now() })
          : await describeOutput(output, options),
      );
    },
    async content(id, owner) {
      const output = await findOutput(id, { owner, options });
      if (output !== undefined) {
        const opened = await openOutput(output, options);
        if (opened === undefined) throw notFound();
        return opened;
      }
      const { bytes } = await findInput(id, { owner, inputs, now: clock.now() });
      const chunks = await inputs.stream(inputBlob(id));
      if (chunks === undefined) throw notFound();
      return { chunks, bytes };
    },
    remove: (id, owner) => removeFile(id, { owner, options }),
  };
}

/** @throws ServiceError rate_limited if the files of the owner exceed its quota */
async function createInput(
  { owner, filename, chunks }: NewFile,
  { inputs, outputs, quota, clock }: FileServiceOptions,
): Promise<FileObject> {
  const id = `file-${randomBytes(16).toString('hex')}`;
  const createdAt = clock.now();
  const metadata = metadataOf(owner, { filename, createdAt, expiresAt: undefined });
  const upload = await meterUpload(chunks, { outputs, owner, quota });
  if (!(await inputs.create(inputBlob(id), { content: upload.chunks, metadata }))) {
    throw new TypeError(`Cannot create ${id} twice`);
  }
  await inputs.setMetadata(inputBlob(id), { ...metadata, items: String(upload.items()) });
  const file = await findInput(id, { owner, inputs, now: createdAt });
  await addToFileIndex(outputs, { owner, file });
  try {
    await assertStored({ outputs, owner, quota });
  } catch (error) {
    await inputs.remove(inputBlob(id));
    await removeFromFileIndex(outputs, { owner, file });
    throw error;
  }
  return toFileObject(file);
}

/** A file that is gone by now was deleted by this request or by another one: both succeed. */
async function removeFile(id: string, { owner, options }: OwnedFile): Promise<void> {
  const { inputs, outputs, clock } = options;
  const output = await findOutput(id, { owner, options });
  if (output === undefined) {
    const file = await findInput(id, { owner, inputs, now: clock.now() });
    await inputs.remove(inputBlob(id));
    await removeFromFileIndex(outputs, { owner, file });
    return;
  }
  const file = await describeOutput(output, options);
  await outputs.remove(outputBlob(output.file));
  await removeFromFileIndex(outputs, { owner, file });
}

interface OwnedFile {
  readonly owner: string;
  readonly options: FileServiceOptions;
}

function metadataOf(
  owner: string,
  { filename, createdAt, expiresAt, items }: Omit<IndexedFile, 'id' | 'bytes' | 'purpose'>,
): BlobMetadata {
  return {
    owner: ownerHash(owner),
    filename: encodeFilename(filename),
    created: String(createdAt),
    ...(items === undefined ? {} : { items: String(items) }),
    ...expiryMetadata(expiresAt),
  };
}

function toFileObject(file: IndexedFile): FileObject {
  const { id, bytes, createdAt, filename, purpose, expiresAt } = file;
  return {
    id,
    object: 'file',
    bytes,
    created_at: Math.floor(createdAt / 1_000),
    filename,
    purpose,
    status: 'processed',
    ...(expiresAt === undefined ? {} : { expires_at: Math.floor(expiresAt / 1_000) }),
  };
}

interface InputRequest {
  readonly owner: string;
  readonly inputs: BlobContainer;
  /** Epoch milliseconds: an expired file is not found. */
  readonly now: number;
  /** The request field that contains the file id. */
  readonly param?: string;
}

/** @throws ServiceError not_found, also for a file of another owner */
export async function findInput(
  id: string,
  { owner, inputs, now, param }: InputRequest,
): Promise<IndexedFile> {
  const found = INPUT_FILE_ID.test(id) ? await inputs.properties(inputBlob(id)) : undefined;
  if (found?.metadata['owner'] !== ownerHash(owner)) throw notFound(param);
  const { bytes, metadata } = found;
  const expiresAt = expiryOf(metadata);
  if (expiresAt !== undefined && expiresAt <= now) throw notFound(param);
  const createdAt = Number(metadata['created']);
  const filename = decodeFilename(metadata);
  const items = Number(metadata['items'] ?? 0);
  return { id, bytes, createdAt, filename, purpose: 'batch', expiresAt, items };
}

function notFound(param?: string): ServiceError {
  return new ServiceError('not_found', 'There is no such file', { param });
}

interface FoundOutput {
  readonly file: OutputFile;
  readonly record: BatchRecord;
}

/** Undefined if the id is not that of an output file. */
async function findOutput(
  id: string,
  { owner, options }: OwnedFile,
): Promise<FoundOutput | undefined> {
  const file = parseOutputFileId(id);
  if (file === undefined) return undefined;
  const record = await options.store.find(file.id);
  if (record === undefined || !canAccess(record, owner)) throw notFound();
  return { file, record };
}

async function describeOutput(
  output: FoundOutput,
  { outputs, clock }: FileServiceOptions,
): Promise<IndexedFile> {
  const { file, record } = output;
  const isFinal = await isFinished(output, outputs);
  const found = await outputs.properties(outputBlob(file));
  const expiresAt = expiryOf(found?.metadata);
  const isExpired = expiresAt !== undefined && expiresAt <= clock.now();
  if (isExpired || (found === undefined && isFinal)) throw notFound();
  return {
    id: outputFileId(file),
    bytes: found?.bytes ?? 0,
    createdAt: Date.parse(record.createdAt),
    filename: outputFilename(file),
    purpose: 'batch_output',
    expiresAt,
  };
}

/**
 * The lines of an output file: the finished file, or the results so far. Undefined if the batch
 * finished without this file, or if the file was deleted.
 */
async function openOutput(
  output: FoundOutput,
  { outputs, store, clock }: FileServiceOptions,
): Promise<FileContent | undefined> {
  // Checked first: a file that is missing after its batch finished never appears.
  const isFinal = await isFinished(output, outputs);
  const { file } = output;
  const name = outputBlob(file);
  const found = await outputs.properties(name);
  if ((expiryOf(found?.metadata) ?? Infinity) <= clock.now()) return undefined;
  const written = found === undefined ? undefined : await outputs.stream(name);
  if (found !== undefined && written !== undefined) return { chunks: written, bytes: found.bytes };
  if (isFinal) return undefined;
  return { chunks: encode(store.results(file.id, file.kind)), bytes: undefined };
}

/** Whether the output files of this generation are complete. */
async function isFinished({ file, record }: FoundOutput, outputs: BlobContainer): Promise<boolean> {
  if (file.generation !== record.generation) return true;
  return (await outputs.properties(blobPaths.final(file.id, file.generation))) !== undefined;
}

async function* encode(lines: AsyncIterable<string>): AsyncGenerator<Uint8Array> {
  for await (const line of lines) yield Buffer.from(line);
}
