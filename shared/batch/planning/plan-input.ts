import { hash } from 'node:crypto';
import { MAX_ITEMS, MAX_LINE_BYTES } from '../input-limits.ts';
import { customIdOf, parseItem } from '../model/item.ts';
import { failedPlan, type InputError, type Plan, type ShardPlan } from '../model/batch-record.ts';
import { parseLine, splitLines, type FileLine } from '../model/jsonl.ts';

/** Bytes of a shard: they fit into memory many times, and a crash repeats little work. */
const MAX_SHARD_BYTES = 4_194_304;
const DEFAULT_ITEMS_PER_SHARD = 1_000;
/** Length of the error list that a batch shows. Every invalid line also has its own error result. */
const MAX_ERRORS = 100;

export interface PlanInputOptions {
  readonly itemsPerShard?: number | undefined;
}

/** Splits an input into shards while it is read. */
export async function planInput(
  chunks: AsyncIterable<Uint8Array>,
  { itemsPerShard = DEFAULT_ITEMS_PER_SHARD }: PlanInputOptions = {},
): Promise<Plan> {
  const shards: (ShardPlan & { duplicates: number[] })[] = [];
  const errors: InputError[] = [];
  const seen = new Set<string>();
  let total = 0;
  for await (const line of splitLines(chunks, { maxLineBytes: MAX_LINE_BYTES })) {
    const verdict = checkLine(line, seen);
    if (verdict === 'blank') continue;
    total += 1;
    if (total > MAX_ITEMS) {
      return failedPlan('too_many_items', `The input must have at most ${MAX_ITEMS} lines`);
    }
    if (verdict !== 'valid' && errors.length < MAX_ERRORS) errors.push(verdict);
    let shard = shards.at(-1);
    const isFull =
      shard === undefined ||
      shard.count >= itemsPerShard ||
      line.end - shard.start > MAX_SHARD_BYTES;
    if (shard === undefined || isFull) {
      shard = { start: line.start, end: line.end, first: total - 1, count: 0, duplicates: [] };
      shards.push(shard);
    }
    if (verdict !== 'valid' && verdict.code === 'duplicate_custom_id') {
      shard.duplicates.push(shard.count);
    }
    shard.count += 1;
    shard.end = line.end;
  }
  if (total === 0) return failedPlan('empty_file', 'The input must have at least one line');
  return { v: 1, total, shards, errors, failed: false };
}

function checkLine({ number, bytes }: FileLine, seen: Set<string>): InputError | 'valid' | 'blank' {
  const invalid = (code: string, wanted: string, param: string | null = null): InputError => {
    return { code, line: number, message: `Line ${number} ${wanted}`, param };
  };
  if (bytes === undefined)
    return invalid('line_too_long', `must have at most ${MAX_LINE_BYTES} bytes`);
  const line = parseLine(bytes);
  if (line === 'blank') return 'blank';
  if (line === 'invalid') return invalid('invalid_json_line', 'must be one JSON value in UTF-8');
  const id = customIdOf(line.value);
  if (id !== null) {
    // Long ids are hashed, because up to 50,000 of them are in memory at once.
    const key = id.length > 32 ? hash('sha256', id, 'base64') : id;
    if (seen.has(key)) {
      return invalid('duplicate_custom_id', 'must have a custom_id of its own', 'custom_id');
    }
    seen.add(key);
  }
  const parsed = parseItem(line.value);
  if (parsed.ok) return 'valid';
  const { param, expected } = parsed.issue;
  if (param === undefined) return invalid('invalid_item', `as a whole ${expected}`);
  return invalid('invalid_item', `has a "${param}" that is wrong: it ${expected}`, param);
}
