import { hash } from 'node:crypto';
import { MAX_BLANK_LINES, MAX_ITEMS, MAX_LINE_BYTES } from '../input-limits.ts';
import { customIdOf, parseItem } from '../model/item.ts';
import { failedPlan, type InputError, type Plan, type ShardPlan } from '../model/batch-record.ts';
import { createTimeSlice, type FileLine, parseLine, readLines } from '../model/jsonl.ts';

/** Bytes of a shard: they fit into memory many times, and a crash repeats little work. */
const MAX_SHARD_BYTES = 4_194_304;
const DEFAULT_ITEMS_PER_SHARD = 1_000;
/** Length of the error list that a batch shows. Every invalid line also has its own error result. */
const MAX_ERRORS = 100;

export interface PlanInputOptions {
  readonly itemsPerShard?: number | undefined;
}

/** Splits an input into shards while it is read. Other work of the process runs in between. */
export async function planInput(
  chunks: AsyncIterable<Uint8Array>,
  { itemsPerShard = DEFAULT_ITEMS_PER_SHARD }: PlanInputOptions = {},
): Promise<Plan> {
  const plan = createPlanBuilder(itemsPerShard);
  const slice = createTimeSlice();
  for await (const { lines, lineCount } of readLines(chunks, { maxLineBytes: MAX_LINE_BYTES })) {
    for (const line of lines) {
      if (slice.isOver()) await slice.next();
      plan.add(line);
      if (plan.total() > MAX_ITEMS) {
        return failedPlan('too_many_items', `The input must have at most ${MAX_ITEMS} lines`);
      }
    }
    if (lineCount - plan.total() > MAX_BLANK_LINES) {
      const message = `The input must have at most ${MAX_BLANK_LINES} blank lines`;
      return failedPlan('too_many_blank_lines', message);
    }
  }
  if (plan.total() === 0) return failedPlan('empty_file', 'The input must have at least one line');
  return plan.build();
}

function createPlanBuilder(itemsPerShard: number) {
  const shards: (ShardPlan & { duplicates: number[] })[] = [];
  const errors: InputError[] = [];
  const seen = new Set<string>();
  let total = 0;

  /** The shard that takes the next line. */
  function shardFor({ start, end }: FileLine) {
    const last = shards.at(-1);
    const fits =
      last !== undefined && last.count < itemsPerShard && end - last.start <= MAX_SHARD_BYTES;
    if (fits) return last;
    const shard = { start, end, first: total, count: 0, duplicates: [] };
    shards.push(shard);
    return shard;
  }
  return {
    add(line: FileLine): void {
      const error = checkLine(line, seen);
      if (error !== undefined && errors.length < MAX_ERRORS) errors.push(error);
      const shard = shardFor(line);
      if (error?.code === 'duplicate_custom_id') shard.duplicates.push(shard.count);
      shard.count += 1;
      shard.end = line.end;
      total += 1;
    },
    total: () => total,
    build: (): Plan => ({ v: 1, total, shards, errors, failed: false }),
  };
}

function checkLine({ number, bytes }: FileLine, seen: Set<string>): InputError | undefined {
  const invalid = (code: string, expected: string, param: string | null = null): InputError => {
    return { code, line: number, message: `Line ${number} ${expected}`, param };
  };
  if (bytes === undefined) {
    return invalid('line_too_long', `must have at most ${MAX_LINE_BYTES} bytes`);
  }
  const line = parseLine(bytes);
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
  if (parsed.ok) return undefined;
  const { param, expected } = parsed.issue;
  if (param === undefined) return invalid('invalid_item', `as a whole ${expected}`);
  return invalid('invalid_item', `has a "${param}" that is wrong: it ${expected}`, param);
}
