import { randomBytes } from 'node:crypto';
import { type BatchRecord, canAccess } from '../model/batch-record.ts';
import { UPLOAD_FOLDER } from '../storage-names.ts';
import type { ResultKind } from '../storage/batch-progress.ts';
import type { BatchStore } from '../storage/batch-store.ts';
import { blobPaths, ownerHash } from '../storage/blob-paths.ts';
import type { Clock } from '../../clock.ts';
import { ServiceError } from '../../errors.ts';
import type { BlobContainer, BlobMetadata } from '../../storage/blob-container.ts';

/** A file in the shape of OpenAI's API. */
export interface FileObject {
  readonly id: string;
  readonly object: 'file';
  readonly bytes: number;
  readonly created_at: number;
  readonly filename: string;
  readonly purpose: 'batch' | 'batch_output';
  readonly status: 'processed';
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
}

export interface FileServiceOptions {
  readonly inputs: BlobContainer;
  readonly outputs: BlobContainer;
  readonly store: BatchStore;
  readonly clock: Clock;
}

const INPUT_FILE_ID = /^file-[0-9a-f]{32}$/;

export function createFileService(options: FileServiceOptions): FileService {
  const { inputs, outputs, clock } = options;
  return {
    async create({ owner, filename, chunks }) {
      const id = `file-${randomBytes(16).toString('hex')}`;
      const metadata = inputMetadata({ owner, filename, now: clock.now() });
      if (!(await inputs.create(inputBlob(id), { content: chunks, metadata }))) {
        throw new TypeError(`Cannot create ${id} twice`);
      }
      return findInput(id, { owner, inputs });
    },
    async find(id, owner) {
      const output = await findOutput(id, { owner, options });
      return output === undefined
        ? findInput(id, { owner, inputs })
        : describeOutput(output, outputs);
    },
    async content(id, owner) {
      const output = await findOutput(id, { owner, options });
      if (output !== undefined) {
        const opened = await openOutput(output, options);
        if (opened === undefined) throw notFound();
        return opened;
      }
      const { bytes } = await findInput(id, { owner, inputs });
      const chunks = await inputs.stream(inputBlob(id));
      if (chunks === undefined) throw notFound();
      return { chunks, bytes };
    },
    async remove(id, owner) {
      const output = await findOutput(id, { owner, options });
      // A file that is gone by now was deleted by this request or by another one: both succeed.
      if (output === undefined) {
        await findInput(id, { owner, inputs });
        await inputs.remove(inputBlob(id));
        return;
      }
      const name = outputBlob(output.file);
      if ((await outputs.properties(name)) === undefined) throw notFound();
      await outputs.remove(name);
    },
  };
}

/** The name of an input file within its container. */
export function inputBlob(id: string): string {
  return `${UPLOAD_FOLDER}${id}.jsonl`;
}

interface InputRequest {
  readonly owner: string;
  readonly inputs: BlobContainer;
  /** The request field that contains the file id. */
  readonly param?: string;
}

/** @throws ServiceError not_found, also for a file of another owner */
export async function findInput(
  id: string,
  { owner, inputs, param }: InputRequest,
): Promise<FileObject> {
  const found = INPUT_FILE_ID.test(id) ? await inputs.properties(inputBlob(id)) : undefined;
  if (found?.metadata['owner'] !== ownerHash(owner)) throw notFound(param);
  const { bytes, metadata } = found;
  return {
    id,
    object: 'file',
    bytes,
    created_at: Math.floor(Number(metadata['created']) / 1_000),
    filename: Buffer.from(metadata['filename'] ?? '', 'base64url').toString('utf8'),
    purpose: 'batch',
    status: 'processed',
  };
}

/** Metadata is sent in headers, which hold ASCII only. */
function inputMetadata(file: { owner: string; filename: string; now: number }): BlobMetadata {
  return {
    owner: ownerHash(file.owner),
    filename: Buffer.from(file.filename.slice(0, 512), 'utf8').toString('base64url'),
    created: String(file.now),
  };
}

function notFound(param?: string): ServiceError {
  return new ServiceError('not_found', 'There is no such file', { param });
}

/** The file of the successful results, or of the failed ones, of one batch. */
interface OutputFile {
  readonly id: string;
  readonly kind: ResultKind;
  readonly generation: number;
}

const OUTPUT_FILE_ID = /^file-(.{1,128})-(output|errors)-(\d{1,6})$/;

export function outputFileId({ id, kind, generation }: OutputFile): string {
  return `file-${id}-${kind === 'succeeded' ? 'output' : 'errors'}-${generation}`;
}

/** Undefined if the id is not that of an output file. */
function parseOutputFileId(fileId: string): OutputFile | undefined {
  const [, id, what, generation] = OUTPUT_FILE_ID.exec(fileId) ?? [];
  if (id === undefined) return undefined;
  const kind = what === 'output' ? 'succeeded' : 'failed';
  return { id, kind, generation: Number(generation) };
}

function outputBlob({ id, kind, generation }: OutputFile): string {
  return kind === 'succeeded' ? blobPaths.output(id, generation) : blobPaths.errors(id, generation);
}

interface FoundOutput {
  readonly file: OutputFile;
  readonly record: BatchRecord;
}

/** Undefined if the id is not that of an output file. */
async function findOutput(
  id: string,
  { owner, options }: { readonly owner: string; readonly options: FileServiceOptions },
): Promise<FoundOutput | undefined> {
  const file = parseOutputFileId(id);
  if (file === undefined) return undefined;
  const record = await options.store.find(file.id);
  if (record === undefined || !canAccess(record, owner)) throw notFound();
  return { file, record };
}

async function describeOutput(output: FoundOutput, outputs: BlobContainer): Promise<FileObject> {
  const { file, record } = output;
  const isFinal = await isFinished(output, outputs);
  const found = await outputs.properties(outputBlob(file));
  if (found === undefined && isFinal) throw notFound();
  const id = outputFileId(file);
  return {
    id,
    object: 'file',
    bytes: found?.bytes ?? 0,
    created_at: Math.floor(Date.parse(record.createdAt) / 1_000),
    filename: `${id.slice('file-'.length)}.jsonl`,
    purpose: 'batch_output',
    status: 'processed',
  };
}

/**
 * The lines of an output file: the finished file, or the results so far. Undefined if the batch
 * finished without this file, or if the file was deleted.
 */
async function openOutput(
  output: FoundOutput,
  { outputs, store }: FileServiceOptions,
): Promise<FileContent | undefined> {
  // Checked first: a file that is missing after its batch finished never appears.
  const isFinal = await isFinished(output, outputs);
  const { file } = output;
  const name = outputBlob(file);
  const found = await outputs.properties(name);
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
