import type { BatchStore } from '../storage/batch-store.part.ts';
import type { BlobArea } from '../../storage/blob-container.ts';
import { names } from '../storage/blob-paths.ts';
import type { ResultKind } from '../storage/read-results.ts';
import type { BatchRecord } from '../model/batch-record.ts';

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
  return kind === 'succeeded' ? names.output(id, generation) : names.errors(id, generation);
}

/**
 * The lines of an output file: as it was written at the end, or as the batch stands now. Undefined
 * where the batch has ended without it, or somebody deleted it.
 */
export async function openOutput(
  file: OutputFile,
  { area, store, record }: OutputNeeds,
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
  { area, record }: Pick<OutputNeeds, 'area' | 'record'>,
): Promise<boolean> {
  if (generation !== record.generation) return true;
  return (await area.facts(names.final(id, generation))) !== undefined;
}

interface OutputNeeds {
  readonly area: BlobArea;
  readonly store: BatchStore;
  readonly record: BatchRecord;
}

async function* encoded(lines: AsyncIterable<string>): AsyncGenerator<Uint8Array> {
  for await (const line of lines) yield Buffer.from(line);
}
