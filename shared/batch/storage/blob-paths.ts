import { createHash } from 'node:crypto';
import { UPLOAD_FOLDER } from '../storage-names.ts';
import type { BatchRecord } from '../model/batch-record.ts';
import type { BlobMetadata } from '../../storage/blob-container.ts';

/** Blob names of a batch. One listing of its folder shows its progress. */
export const blobPaths = {
  record: (id: string) => `${id}/batch.json`,
  plan: (id: string) => `${id}/plan.json`,
  journal: (id: string, shard: number) =>
    `${id}/shard-${String(shard).padStart(5, '0')}.journal.jsonl`,
  /** Earlier lines of a journal, which its metadata names. */
  journalPart: (id: string, { shard, part }: { readonly shard: number; readonly part: string }) =>
    `${id}/shard-${String(shard).padStart(5, '0')}.part-${part}.jsonl`,
  output: (id: string, generation: number) => `${id}/output-${generation}.jsonl`,
  errors: (id: string, generation: number) => `${id}/errors-${generation}.jsonl`,
  final: (id: string, generation: number) => `${id}/final-${generation}.json`,
} as const;

/** The name of an input file within its container. */
export function inputBlob(id: string): string {
  return `${UPLOAD_FOLDER}${id}.jsonl`;
}

/** The file of the successful results, or of the failed ones, of one batch. */
export interface OutputFile {
  /** The id of the batch. */
  readonly id: string;
  readonly kind: 'succeeded' | 'failed';
  readonly generation: number;
}

const OUTPUT_FILE_ID = /^file-(.{1,128})-(output|errors)-(\d{1,6})$/;

export function outputFileId({ id, kind, generation }: OutputFile): string {
  return `file-${id}-${kind === 'succeeded' ? 'output' : 'errors'}-${generation}`;
}

/** Undefined if the id is not that of an output file. */
export function parseOutputFileId(fileId: string): OutputFile | undefined {
  const [, id, what, generation] = OUTPUT_FILE_ID.exec(fileId) ?? [];
  if (id === undefined) return undefined;
  const kind = what === 'output' ? 'succeeded' : 'failed';
  return { id, kind, generation: Number(generation) };
}

/** The name that clients see. */
export function outputFilename(file: OutputFile): string {
  return `${outputFileId(file).slice('file-'.length)}.jsonl`;
}

export function outputBlob({ id, kind, generation }: OutputFile): string {
  return kind === 'succeeded' ? blobPaths.output(id, generation) : blobPaths.errors(id, generation);
}

const JOURNAL = /\/shard-(\d+)\.journal\.jsonl$/;
const LAST_TIME = 9_999_999_999_999;

/**
 * The blobs of a journal in the order of its lines. A journal takes a limited number of appends, so
 * a long one consists of parts, and the blob that is written now comes last.
 */
export function journalBlobs(
  { id, shard }: { readonly id: string; readonly shard: number },
  metadata: BlobMetadata,
): readonly string[] {
  const names = listIn(metadata, 'parts');
  const parts = names.map((part) => blobPaths.journalPart(id, { shard, part }));
  return [...parts, blobPaths.journal(id, shard)];
}

/** A list in the metadata of a journal: the names of its parts, or ids of messages. */
export function listIn(metadata: BlobMetadata, name: 'parts' | 'messages'): readonly string[] {
  return metadata[name]?.split(' ').filter((entry) => entry !== '') ?? [];
}

export function shardOf(name: string): number | undefined {
  const digits = JOURNAL.exec(name)?.[1];
  return digits === undefined ? undefined : Number(digits);
}

/** The entry of a batch in its owner's list. The newest batch sorts first. */
export function listEntry({
  id,
  createdAt,
  owner,
}: Pick<BatchRecord, 'id' | 'createdAt' | 'owner'>) {
  const age = String(LAST_TIME - Date.parse(createdAt)).padStart(13, '0');
  return `${listPrefix(owner)}${age}-${id}`;
}

export function listPrefix(owner: string | null): string {
  return `_owners/${ownerHash(owner)}/`;
}

export function idOfListEntry(name: string): string {
  return name.slice(name.lastIndexOf('/') + 15);
}

/** Owner ids can contain personal data, so blob names contain a hash of them. */
export function ownerHash(owner: string | null): string {
  return createHash('sha256')
    .update(owner ?? '')
    .digest('hex')
    .slice(0, 32);
}
