import { hash } from 'node:crypto';
import { MAX_BLANK_LINES, MAX_INPUT_BYTES, MAX_ITEMS, MAX_LINE_BYTES } from '../input-limits.ts';
import {
  endedOutcome,
  failedPlan,
  type BatchRecord,
  type InputError,
  type Plan,
  type ShardPlan,
} from '../model/batch-record.ts';
import { customIdOf, parseItem } from '../model/item.ts';
import type { JobSender } from '../model/job-message.ts';
import { createTimeSlice, parseLine, readLines, type FileLine } from '../model/jsonl.ts';
import { sendLanes } from './lanes.ts';
import { inputName, type ShardDependencies } from './load-shard.ts';
import type { BatchStore } from '../storage/batch-store.ts';
import type { Clock } from '../../clock.ts';
import type { Telemetry } from '../../telemetry/telemetry.ts';

/** A message may arrive before the blob that it names, by at most this much. */
const LATE_INPUT_MS = 30_000;
const LATE_INPUT_DELAY_SECONDS = 5;

export interface PlannerOptions extends ShardDependencies {
  readonly store: BatchStore;
  readonly sender: JobSender;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
  readonly itemsPerShard?: number | undefined;
}

/**
 * Splits a batch into shards and queues the first ones. Safe to repeat after a crash: the plan is
 * written once, and a shard that is queued twice is processed once.
 */
export async function planBatch(record: BatchRecord, options: PlannerOptions): Promise<void> {
  const { store, telemetry, clock } = options;
  const { id } = record;
  if ((await store.progress(id)).finals.has(record.generation)) return;
  let plan = await store.plan(record);
  if (plan === undefined) {
    const created = await createPlan(record, options).catch((error: unknown) => {
      if (endedOutcome(record, clock.now()) === undefined) throw error;
      return undefined;
    });
    if (created === undefined) return endWithoutPlan(record, options);
    if (created === 'input late') {
      await options.sender.send({ v: 1, jobId: id }, { delaySeconds: LATE_INPUT_DELAY_SECONDS });
      telemetry.info('batch waiting for input', { jobId: id });
      return;
    }
    await store.savePlan(id, created);
    plan = await store.plan(record);
  }
  if (plan === undefined) throw new TypeError(`Cannot find the plan of ${id} after saving it`);
  if (plan.failed) {
    await store.finish(record, { outcome: 'failed', succeeded: 0, failed: 0, at: clock.now() });
    telemetry.warn('batch input rejected', { jobId: id, code: plan.errors[0]?.code });
    return;
  }
  await sendLanes(record, { progress: await store.progress(id), sender: options.sender });
  telemetry.info('batch planned', { jobId: id, total: plan.total, shards: plan.shards.length });
}

/** Ends a cancelled or expired batch whose input cannot be read. */
async function endWithoutPlan(
  record: BatchRecord,
  { store, clock, telemetry }: PlannerOptions,
): Promise<void> {
  const outcome = endedOutcome(record, clock.now()) ?? 'failed';
  await store.finish(record, { outcome, succeeded: 0, failed: 0, at: clock.now() });
  telemetry.warn('batch ended without its input', { jobId: record.id, outcome });
}

async function createPlan(
  record: BatchRecord,
  { inputs, itemsPerShard, clock }: PlannerOptions,
): Promise<Plan | 'input late'> {
  const name = inputName(record);
  const bytes = (await inputs.properties(name))?.bytes ?? 0;
  if (bytes > MAX_INPUT_BYTES) {
    return failedPlan('file_too_large', `The input must have at most ${MAX_INPUT_BYTES} bytes`);
  }
  const chunks = await inputs.stream(name);
  if (chunks !== undefined) return planInput(chunks, { itemsPerShard });
  const mayArrive = clock.now() < Date.parse(record.createdAt) + LATE_INPUT_MS;
  if (record.inputFileId === null && mayArrive) return 'input late';
  return failedPlan('input_not_found', 'The input file must exist');
}

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
