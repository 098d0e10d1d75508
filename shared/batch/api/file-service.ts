import { randomBytes } from 'node:crypto';
import { type BatchRecord, canAccess } from '../model/batch-record.ts';
import type { ResultKind } from '../storage/batch-progress.ts';
import type { BatchStore } from '../storage/batch-store.ts';
import { blobPaths, ownerHash } from '../storage/blob-paths.ts';
import type { Clock } from '../../clock.ts';
import { ServiceError } from '../../errors.ts';
import type { BlobContainer, BlobProperties } from '../../storage/blob-container.ts';

/** The largest input file, which is also the largest upload. */
export { MAX_INPUT_BYTES } from '../planning/plan-input.ts';

/** A file in the shape that OpenAI clients read. */
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
  /** Stored as it comes; what it throws is thrown, and nothing is kept. */
  readonly chunks: AsyncIterable<Uint8Array>;
}

/** Input and output files of batches. A file of somebody else is not there: not_found. */
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
  const { inputs, clock } = options;
  return {
    async create({ owner, filename, chunks }) {
      const id = `file-${randomBytes(16).toString('hex')}`;
      const facts = inputMetadata({ owner, filename, now: clock.now() });
      if (!(await inputs.create(inputBlob(id), { content: chunks, facts }))) {
        throw new TypeError(`Cannot create ${id} twice`);
      }
      return findInput(id, { owner, inputs });
    },
    async find(id, owner) {
      const output = await findOutput(id, { owner, options });
      if (output === undefined) return findInput(id, { owner, inputs });
      const { file, record } = output;
      const isOver = await hasEnded(file, { area: options.outputs, record });
      const found = await options.outputs.facts(outputBlob(file));
      if (found === undefined && isOver) throw notFound();
      return {
        id,
        object: 'file',
        bytes: found?.bytes ?? 0,
        created_at: Math.floor(Date.parse(record.createdAt) / 1_000),
        filename: `${id.slice('file-'.length)}.jsonl`,
        purpose: 'batch_output',
        status: 'processed',
      };
    },
    async content(id, owner) {
      const output = await findOutput(id, { owner, options });
      if (output !== undefined) {
        const { file, record } = output;
        const opened = await openOutput(file, { ...options, area: options.outputs, record });
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
      const removed =
        output === undefined
          ? (await findInput(id, { owner, inputs })) && (await inputs.remove(inputBlob(id)))
          : await options.outputs.remove(outputBlob(output.file));
      if (!removed) throw notFound();
    },
  };
}

/** The name of an input file within its container. */
export function inputBlob(id: string): string {
  return `files/${id}.jsonl`;
}

interface FileRequest {
  readonly owner: string;
  readonly inputs: BlobContainer;
  /** The field that named the file. */
  readonly param?: string;
}

/** @throws ServiceError not_found, also for what belongs to somebody else */
export async function findInput(
  id: string,
  { owner, inputs, param }: FileRequest,
): Promise<FileObject> {
  const found = INPUT_FILE_ID.test(id) ? await inputs.facts(inputBlob(id)) : undefined;
  if (found?.facts['owner'] !== ownerHash(owner)) throw notFound(param);
  return {
    id,
    object: 'file',
    bytes: found.bytes,
    created_at: Math.floor(Number(found.facts['created']) / 1_000),
    filename: Buffer.from(found.facts['filename'] ?? '', 'base64url').toString('utf8'),
    purpose: 'batch',
    status: 'processed',
  };
}

/** Undefined where the id is not one of an output file. */
async function findOutput(
  id: string,
  { owner, options }: { readonly owner: string; readonly options: FileServiceOptions },
) {
  const file = parseOutputFileId(id);
  if (file === undefined) return undefined;
  const record = await options.store.find(file.id);
  if (record === undefined || !canAccess(record, owner)) throw notFound();
  return { file, record };
}

/** Facts travel as headers, which hold ASCII only. */
function inputMetadata(file: { owner: string; filename: string; now: number }): BlobProperties {
  return {
    owner: ownerHash(file.owner),
    filename: Buffer.from(file.filename.slice(0, 512), 'utf8').toString('base64url'),
    created: String(file.now),
  };
}

function notFound(param?: string): ServiceError {
  return new ServiceError('not_found', 'There is no such file', { param });
}

/** The file of the answers, or of the failures, of one batch. */
export interface OutputFile {
  readonly id: string;
  readonly kind: ResultKind;
  readonly generation: number;
}

const OUTPUT_FILE_ID = /^file-(.{1,128})-(output|errors)-(\d{1,6})$/;

export function outputFileId({ id, kind, generation }: OutputFile): string {
  return `file-${id}-${kind === 'succeeded' ? 'output' : 'errors'}-${generation}`;
}

/** Undefined where the id is not one of an output file. */
export function parseOutputFileId(fileId: string): OutputFile | undefined {
  const [, id, what, generation] = OUTPUT_FILE_ID.exec(fileId) ?? [];
  if (id === undefined) return undefined;
  const kind = what === 'output' ? 'succeeded' : 'failed';
  return { id, kind, generation: Number(generation) };
}

export function outputBlob({ id, kind, generation }: OutputFile): string {
  return kind === 'succeeded' ? blobPaths.output(id, generation) : blobPaths.errors(id, generation);
}

/**
 * The lines of an output file: as it was written at the end, or as the batch stands now. Undefined
 * where the batch has ended without it, or somebody deleted it.
 */
export async function openOutput(
  file: OutputFile,
  { area, store, record }: OutputDependencies,
): Promise<{ chunks: AsyncIterable<Uint8Array>; bytes: number | undefined } | undefined> {
  // In this order: a file that was not there when its batch had ended never comes.
  const isOver = await hasEnded(file, { area, record });
  const name = outputBlob(file);
  const found = await area.facts(name);
  const written = found === undefined ? undefined : await area.stream(name);
  if (found !== undefined && written !== undefined) return { chunks: written, bytes: found.bytes };
  if (isOver) return undefined;
  return { chunks: encoded(store.results(file.id, file.kind)), bytes: undefined };
}

/** Whether nothing can come any more that is not in a file of its own. */
export async function hasEnded(
  { id, generation }: OutputFile,
  { area, record }: Pick<OutputDependencies, 'area' | 'record'>,
): Promise<boolean> {
  if (generation !== record.generation) return true;
  return (await area.facts(blobPaths.final(id, generation))) !== undefined;
}

interface OutputDependencies {
  readonly area: BlobContainer;
  readonly store: BatchStore;
  readonly record: BatchRecord;
}

async function* encoded(lines: AsyncIterable<string>): AsyncGenerator<Uint8Array> {
  for await (const line of lines) yield Buffer.from(line);
}
