import { setTimeout as delay } from 'node:timers/promises';
import type { ResultLine } from '../../shared/batch/model/item.ts';
import { raceAbort } from '../../shared/resilience/abort.ts';
import { CliError } from '../cli-error.ts';
import { AwayError, type BatchProgress, type BatchService } from './batch-service.ts';
import { describeSeconds } from './progress.ts';
import { localFailure, type SentItem } from './read-items.ts';

export interface WaitOptions {
  readonly jobId: string;
  readonly service: BatchService;
  readonly signal: AbortSignal;
  readonly onSubmitted: (id: string) => void;
  /** Told after each look. */
  readonly onLook: (look: Look) => void;
  readonly pollMs?: number;
  /** Longest time without a new result: nobody seems to work on it then. */
  readonly idleLimitMs?: number;
  /** Milliseconds by a clock that never goes back. */
  readonly now?: () => number;
}

/** What one look at the batch shows. */
export interface Look {
  readonly done: number;
  readonly failed: number;
  /** What it waits for, where something is not as it should be. */
  readonly note: string | undefined;
}

/** Between two looks at first; ten times as much later on. */
const POLL_MS = 300;
const IDLE_LIMIT_MS = 600_000;
const MAX_PAUSE_MS = 60_000;
/** An app that is there takes a job sooner than this. */
const BEGINS_WITHIN_MS = 5_000;
/** Longer than most items take. */
const QUIET_AFTER_MS = 20_000;

/** Submits the items and waits until every one has its result. By input line. */
export async function waitForResults(
  items: readonly SentItem[],
  options: WaitOptions,
): Promise<Map<number, ResultLine>> {
  const { service, signal, onLook } = options;
  if (items.length === 0) return new Map();
  signal.throwIfAborted();
  const lines = items.map(({ item }) => `${JSON.stringify(item)}\n`).join('');
  const id = await raceAbort(service.submit(options.jobId, lines), signal);
  options.onSubmitted(id);
  await untilEnded(id, options);
  const results = await readResults(id, { items, options });
  const failed = [...results.values()].filter(({ error }) => error !== null).length;
  onLook({ done: results.size, failed, note: undefined });
  for (const { line, customId } of items) {
    if (!results.has(line)) results.set(line, withoutResult(line, customId));
  }
  return results;
}

/** What there is must be written, whatever became of the rest. */
function withoutResult(line: number, customId: string): ResultLine {
  const message = 'The batch has ended without a result for this item';
  return localFailure({ line, customId, code: 'no_result', message }).result;
}

interface Reading {
  readonly items: readonly SentItem[];
  readonly options: WaitOptions;
}

async function readResults(
  id: string,
  { items, options }: Reading,
): Promise<Map<number, ResultLine>> {
  const { service, signal, idleLimitMs = IDLE_LIMIT_MS, now = performanceNow } = options;
  const startedAt = now();
  for (;;) {
    const read = await raceAbort(unlessAway(readOnce(service, { id, items })), signal);
    if (!(read instanceof AwayError)) return read;
    if (now() - startedAt > idleLimitMs) throw read;
    await pause(read, { options, elapsedMs: now() - startedAt });
  }
}

async function readOnce(
  service: BatchService,
  { id, items }: { readonly id: string; readonly items: readonly SentItem[] },
): Promise<Map<number, ResultLine>> {
  const lineOf = new Map(items.map(({ customId, line }) => [customId, line]));
  const results = new Map<number, ResultLine>();
  for await (const result of service.results(id)) {
    const line = lineOf.get(result.custom_id ?? '');
    if (line !== undefined) results.set(line, result);
  }
  return results;
}

/** Where nobody answered it is a failure, which counts only when it lasts. */
type Seen = BatchProgress | AwayError;

async function untilEnded(id: string, options: WaitOptions): Promise<void> {
  const { service, signal, onLook, idleLimitMs = IDLE_LIMIT_MS, now = performanceNow } = options;
  const startedAt = now();
  let last = { begun: false, done: 0, failed: 0 };
  let changedAt = now();
  for (;;) {
    const seen = await raceAbort(unlessAway(service.look(id)), signal);
    if (!(seen instanceof AwayError)) {
      if (seen.refused !== undefined) {
        throw new CliError(`Cannot run the batch: ${seen.refused}`);
      }
      if (seen.ended) {
        return onLook({ done: seen.done, failed: seen.failed, note: 'fetching the results' });
      }
      if (seen.done > last.done || seen.begun !== last.begun) changedAt = now();
      last = seen;
    }
    const quietMs = now() - changedAt;
    if (quietMs > idleLimitMs) throw idleFailure(seen, idleLimitMs);
    onLook({ done: last.done, failed: last.failed, note: noteOf(seen, quietMs) });
    await pause(seen, { options, elapsedMs: now() - startedAt });
  }
}

async function unlessAway<T>(work: Promise<T>): Promise<T | AwayError> {
  try {
    return await work;
  } catch (error) {
    if (error instanceof AwayError) return error;
    throw error;
  }
}

interface Pause {
  readonly options: WaitOptions;
  readonly elapsedMs: number;
}

/** Looks are requests too, and the app grants a caller only so many a minute. */
async function pause(seen: unknown, { options, elapsedMs }: Pause): Promise<void> {
  const { pollMs = POLL_MS, signal } = options;
  const askedMs = seen instanceof AwayError ? seen.retryAfterSeconds * 1_000 : 0;
  const ownMs = Math.min(Math.max(pollMs, elapsedMs / 10), pollMs * 10);
  await delay(Math.max(ownMs, Math.min(askedMs, MAX_PAUSE_MS)), undefined, { signal });
}

function performanceNow(): number {
  return performance.now();
}

function noteOf(seen: Seen, quietMs: number): string | undefined {
  const quiet = describeSeconds(quietMs / 1_000);
  if (seen instanceof AwayError) return `${seen.what} for ${quiet}, trying again`;
  if (!seen.begun) {
    return quietMs < BEGINS_WITHIN_MS
      ? undefined
      : `waiting ${quiet} for the app to begin: is it running?`;
  }
  return quietMs < QUIET_AFTER_MS ? undefined : `nothing new for ${quiet}`;
}

function idleFailure(seen: Seen, idleLimitMs: number): AwayError {
  if (seen instanceof AwayError) return seen;
  return new AwayError(
    `Cannot go on as results must come at least every ${describeSeconds(idleLimitMs / 1_000)}: is the app running?`,
  );
}
