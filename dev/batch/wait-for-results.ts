import { setTimeout as delay } from 'node:timers/promises';
import type { ResultLine } from '../../shared/batch/model/item.ts';
import { raceAbort } from '../../shared/resilience/abort.ts';
import { CliError } from '../cli-error.ts';
import { UnavailableError, type BatchProgress, type BatchService } from './batch-service.ts';
import { describeSeconds } from './progress.ts';
import { localFailure, type SentItem } from './read-items.ts';

export interface WaitOptions {
  readonly jobId: string;
  readonly service: BatchService;
  readonly signal: AbortSignal;
  readonly onSubmitted: (id: string) => void;
  /** Called after each progress request. */
  readonly onProgress: (look: ProgressUpdate) => void;
  readonly pollMs?: number;
  /** Longest time without a new result, in ms; then the run fails. */
  readonly idleLimitMs?: number;
  /** Monotonic time in milliseconds. */
  readonly now?: () => number;
}

/** What the user sees of the progress. */
export interface ProgressUpdate {
  readonly done: number;
  readonly failed: number;
  /** Why the batch waits, if it does. */
  readonly note: string | undefined;
}

/** Interval of progress requests at first; it grows to ten times as much. */
const POLL_MS = 300;
const IDLE_LIMIT_MS = 600_000;
const MAX_PAUSE_MS = 60_000;
/** A running app receives a job within this time. */
const STARTS_WITHIN_MS = 5_000;
/** Longer than most items take. */
const QUIET_AFTER_MS = 20_000;

/** Submits the items and waits until every one has its result. By input line. */
export async function waitForResults(
  items: readonly SentItem[],
  options: WaitOptions,
): Promise<Map<number, ResultLine>> {
  const { service, signal, onProgress: onLook } = options;
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
    if (!results.has(line)) results.set(line, missingResult(line, customId));
  }
  return results;
}

/** Results that exist are written even if others are missing. */
function missingResult(line: number, customId: string): ResultLine {
  const message = 'The batch has ended without a result for this item';
  return localFailure({ line, customId, code: 'no_result', message }).result;
}

interface ResultRequest {
  readonly items: readonly SentItem[];
  readonly options: WaitOptions;
}

async function readResults(
  id: string,
  { items, options }: ResultRequest,
): Promise<Map<number, ResultLine>> {
  const { service, signal, idleLimitMs = IDLE_LIMIT_MS, now = performanceNow } = options;
  const startedAt = now();
  for (;;) {
    const read = await raceAbort(unlessUnavailable(readOnce(service, { id, items })), signal);
    if (!(read instanceof UnavailableError)) return read;
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

/** Unavailability counts as a failure only if it lasts. */
type Observed = BatchProgress | UnavailableError;

async function untilEnded(id: string, options: WaitOptions): Promise<void> {
  const {
    service,
    signal,
    onProgress: onLook,
    idleLimitMs = IDLE_LIMIT_MS,
    now = performanceNow,
  } = options;
  const startedAt = now();
  let last = { started: false, done: 0, failed: 0 };
  let changedAt = now();
  for (;;) {
    const observed = await raceAbort(unlessUnavailable(service.progress(id)), signal);
    if (!(observed instanceof UnavailableError)) {
      if (observed.rejected !== undefined) {
        throw new CliError(`Cannot run the batch: ${observed.rejected}`);
      }
      if (observed.ended) {
        return onLook({
          done: observed.done,
          failed: observed.failed,
          note: 'fetching the results',
        });
      }
      if (observed.done > last.done || observed.started !== last.started) changedAt = now();
      last = observed;
    }
    const quietMs = now() - changedAt;
    if (quietMs > idleLimitMs) throw idleFailure(observed, idleLimitMs);
    onLook({ done: last.done, failed: last.failed, note: noteOf(observed, quietMs) });
    await pause(observed, { options, elapsedMs: now() - startedAt });
  }
}

async function unlessUnavailable<T>(work: Promise<T>): Promise<T | UnavailableError> {
  try {
    return await work;
  } catch (error) {
    if (error instanceof UnavailableError) return error;
    throw error;
  }
}

interface PauseOptions {
  readonly options: WaitOptions;
  readonly elapsedMs: number;
}

/** Progress requests count against the caller's rate limit, so their interval grows. */
async function pause(observed: unknown, { options, elapsedMs }: PauseOptions): Promise<void> {
  const { pollMs = POLL_MS, signal } = options;
  const retryAfterMs =
    observed instanceof UnavailableError ? observed.retryAfterSeconds * 1_000 : 0;
  const ownMs = Math.min(Math.max(pollMs, elapsedMs / 10), pollMs * 10);
  await delay(Math.max(ownMs, Math.min(retryAfterMs, MAX_PAUSE_MS)), undefined, { signal });
}

function performanceNow(): number {
  return performance.now();
}

function noteOf(observed: Observed, quietMs: number): string | undefined {
  const quiet = describeSeconds(quietMs / 1_000);
  if (observed instanceof UnavailableError) return `${observed.what} for ${quiet}, trying again`;
  if (!observed.started) {
    return quietMs < STARTS_WITHIN_MS
      ? undefined
      : `waiting ${quiet} for the app to start the batch: is it running?`;
  }
  return quietMs < QUIET_AFTER_MS ? undefined : `nothing new for ${quiet}`;
}

function idleFailure(observed: Observed, idleLimitMs: number): UnavailableError {
  if (observed instanceof UnavailableError) return observed;
  return new UnavailableError(
    `Cannot go on as results must come at least every ${describeSeconds(idleLimitMs / 1_000)}: is the app running?`,
  );
}
