import type { BlobArea } from '../../storage/blob-container.ts';
import { shardOf } from './blob-paths.ts';
import { createJournalReader } from './journal.ts';
import { splitLines } from '../model/jsonl.ts';

export type ResultKind = 'succeeded' | 'failed';

const MAX_ENTRY_BYTES = 67_108_864;

/** The result lines of a batch, shard by shard, without holding more than the failures of one. */
export async function* readResults(
  area: BlobArea,
  { id, kind }: { readonly id: string; readonly kind: ResultKind },
): AsyncGenerator<string, void, void> {
  for await (const { name } of area.list(`${id}/shard-`)) {
    if (shardOf(name) === undefined) continue;
    const chunks = await area.stream(name);
    if (chunks !== undefined) yield* readShard(chunks, kind);
  }
}

async function* readShard(
  chunks: AsyncIterable<Uint8Array>,
  kind: ResultKind,
): AsyncGenerator<string, void, void> {
  const reader = createJournalReader();
  // A failure stands only if nobody begins its item again further down.
  let failures: string[] = [];
  for await (const { bytes } of splitLines(chunks, { maxLineBytes: MAX_ENTRY_BYTES })) {
    const entry = reader.add(Buffer.from(bytes ?? []).toString('utf8'));
    if (entry?.type === 'reopened') failures = [];
    if (entry?.type !== 'result') continue;
    const line = `${JSON.stringify(entry.line)}\n`;
    if (entry.line.error !== null) failures.push(line);
    else if (kind === 'succeeded') yield line;
  }
  if (kind === 'failed') yield* failures;
}
