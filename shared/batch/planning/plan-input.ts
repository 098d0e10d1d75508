import { hash } from 'node:crypto';
import { customIdOf, parseItem } from '../model/item.ts';
import { failedPlan, type InputError, type Plan, type ShardPlan } from '../model/batch-record.ts';
import { readLine, splitLines, type FileLine } from '../model/jsonl.ts';

/** Longer than any item that the agent would accept. */
export const MAX_LINE_BYTES = 1_048_576;
/** As large as OpenAI takes. */
export const MAX_INPUT_BYTES = 200 * 1_048_576;
/** More lines are another batch. */
const MAX_ITEMS = 50_000;
/** As many as fit into memory with ease, and few enough that a crash costs little. */
const MAX_SHARD_BYTES = 4_194_304;
const DEFAULT_ITEMS_PER_SHARD = 1_000;
/** A list that a person still reads. Every line has its own entry in the error file anyway. */
const MAX_ERRORS = 100;

export interface PlanInputOptions {
  readonly itemsPerShard?: number | undefined;
}

/** Splits an input into shards while it streams by. */
export async function planInput(
  chunks: AsyncIterable<Uint8Array>,
  { itemsPerShard = DEFAULT_ITEMS_PER_SHARD }: PlanInputOptions = {},
): Promise<Plan> {
  const shards: (ShardPlan & { duplicates: number[] })[] = [];
  const errors: InputError[] = [];
  const seen = new Set<string>();
  let total = 0;
  for await (const line of splitLines(chunks, { maxLineBytes: MAX_LINE_BYTES })) {
    const judged = classifyLine(line, seen);
    if (judged === 'blank') continue;
    total += 1;
    if (total > MAX_ITEMS) {
      return failedPlan('too_many_items', `The input must have at most ${MAX_ITEMS} lines`);
    }
    if (judged !== 'good' && errors.length < MAX_ERRORS) errors.push(judged);
    let shard = shards.at(-1);
    const isFull =
      shard === undefined ||
      shard.count >= itemsPerShard ||
      line.end - shard.start > MAX_SHARD_BYTES;
    if (shard === undefined || isFull) {
      shard = { start: line.start, end: line.end, first: total - 1, count: 0, duplicates: [] };
      shards.push(shard);
    }
    if (judged !== 'good' && judged.code === 'duplicate_custom_id') {
      shard.duplicates.push(shard.count);
    }
    shard.count += 1;
    shard.end = line.end;
  }
  if (total === 0) return failedPlan('empty_file', 'The input must have at least one line');
  return { v: 1, total, shards, errors, failed: false };
}

function classifyLine(
  { number, bytes }: FileLine,
  seen: Set<string>,
): InputError | 'good' | 'blank' {
  const wrong = (code: string, wanted: string, param: string | null = null): InputError => {
    return { code, line: number, message: `Line ${number} ${wanted}`, param };
  };
  if (bytes === undefined)
    return wrong('line_too_long', `must have at most ${MAX_LINE_BYTES} bytes`);
  const read = readLine(bytes);
  if (read === 'blank') return 'blank';
  if (read === 'unreadable') return wrong('invalid_json_line', 'must be one JSON value in UTF-8');
  const id = customIdOf(read.value);
  if (id !== null) {
    // Fifty thousand long ids would be held at once.
    const key = id.length > 32 ? hash('sha256', id, 'base64') : id;
    if (seen.has(key)) {
      return wrong('duplicate_custom_id', 'must have a custom_id of its own', 'custom_id');
    }
    seen.add(key);
  }
  const parsed = parseItem(read.value);
  if (parsed.ok) return 'good';
  const { param, expected } = parsed.fault;
  if (param === undefined) return wrong('invalid_item', `as a whole ${expected}`);
  return wrong('invalid_item', `has a "${param}" that is wrong: it ${expected}`, param);
}
