import type { Agent } from '../../agent/agent.ts';
import { customIdOf, failureLine, type ItemPlace } from '../model/item.ts';
import type { Shard } from '../planning/load-shard.ts';
import type { ConcurrencyLimiter, ConcurrencyPermit } from './concurrency-limiter.ts';
import { isDue, decideItemRetry, decideThrottledRetry, secondsUntilDue } from './item-retry.ts';
import { createItemJournal, reportEffects } from './item-journal.ts';
import { runItem, type ItemOutcome, type ThrottleReason, throttleReasonOf } from './run-item.ts';
import { NO_THROTTLES } from '../storage/journal.ts';
import type { ShardLease } from '../storage/shard-lease.ts';
import type { Clock } from '../../clock.ts';
import type { Telemetry } from '../../telemetry/telemetry.ts';
import { newTraceparent } from '../../telemetry/spans.ts';

export interface PassOptions {
  readonly agent: Agent;
  /** The model name in responses. */
  readonly publicModel: string;
  /** Items of one shard that run at once. */
  readonly concurrency: number;
  /** Shared by all shards of the batch in this process. */
  readonly limiter: ConcurrencyLimiter;
  readonly jobDeadlineMs: number;
  readonly itemDeadlineMs: number;
  readonly clock: Clock;
  /** The clock by which the agent reads its deadlines. */
  readonly agentClock: Clock;
  readonly telemetry: Telemetry;
  /** Aborts when the instance shuts down or the batch is cancelled. */
  readonly stop: AbortSignal;
}

/** The items without a result after a pass. */
export interface RemainingWork {
  readonly items: number;
  /** When the next pass makes sense. */
  readonly delaySeconds: number;
  readonly reason?: 'stopping' | 'throttled' | 'waiting' | 'deadline';
}

interface PassDependencies {
  readonly lease: ShardLease;
  readonly options: PassOptions;
}

/** Runs the items of a shard that have no result yet and are due, each at most once. */
export async function runPass(
  shard: Shard,
  { lease, options }: PassDependencies,
): Promise<RemainingWork> {
  const { clock, limiter } = options;
  const retryTimes = unfinishedItems(shard, lease);
  const due = dueItems(retryTimes, { now: clock.now(), lease });
  if (due.length > 0 && limiter.pausedMs() === 0) {
    await lease.append({ type: 'opened' });
    await runDueItems(due, { shard, lease, options, retryTimes });
    if (retryTimes.size > 0) await lease.append({ type: 'closed' });
  }
  const dueSeconds = secondsUntilDue(retryTimes.values(), clock.now());
  const pausedSeconds = Math.ceil(limiter.pausedMs() / 1_000);
  const delaySeconds = Math.max(dueSeconds, pausedSeconds);
  return {
    items: retryTimes.size,
    delaySeconds,
    reason: remainingReason({ isStopped: options.stop.aborted, pausedSeconds, dueSeconds }),
  };
}

function remainingReason({
  isStopped,
  pausedSeconds,
  dueSeconds,
}: {
  readonly isStopped: boolean;
  readonly pausedSeconds: number;
  readonly dueSeconds: number;
}): NonNullable<RemainingWork['reason']> {
  if (isStopped) return 'stopping';
  if (pausedSeconds > 0) return 'throttled';
  return dueSeconds > 0 ? 'waiting' : 'deadline';
}

/**
 * A journal takes 50,000 appends, and results must always fit in. Further throttled attempts are
 * not recorded; the completion window ends the items that they would have exhausted.
 */
const MAX_THROTTLE_RECORDS = 10_000;
/** From this concurrency on a slow journal write may not hold up the next items. */
const WRITE_BEHIND_CONCURRENCY = 32;

/** The items without a result, each with the time before which it must not be tried again. */
type RetryTimes = Map<number, number | undefined>;

function unfinishedItems(shard: Shard, { view }: ShardLease): RetryTimes {
  const unfinished = [...shard.items.keys()].filter((index) => !view.results.has(index));
  return new Map(unfinished.map((index) => [index, view.attempts.get(index)?.retryAt]));
}

/**
 * The items with the fewest throttled attempts come first: while nothing is served one item is tried
 * at a time, and it must not always be the same.
 */
function dueItems(
  retryTimes: RetryTimes,
  { now, lease }: { readonly now: number; readonly lease: ShardLease },
): number[] {
  const throttlesOf = (index: number): number => {
    const { unavailable, capacity } = lease.view.throttles.get(index) ?? NO_THROTTLES;
    return unavailable + capacity;
  };
  return [...retryTimes.keys()]
    .filter((index) => isDue(retryTimes.get(index), now))
    .sort((one, other) => throttlesOf(one) - throttlesOf(other));
}

interface PassState extends PassDependencies {
  readonly shard: Shard;
  readonly retryTimes: RetryTimes;
}

type AttemptEntry = ReturnType<typeof decideItemRetry | typeof decideThrottledRetry>;

async function runDueItems(
  due: readonly number[],
  { shard, lease, options, retryTimes }: PassState,
): Promise<void> {
  const { limiter, clock, telemetry } = options;
  const writeFailed = new AbortController();
  const stop = AbortSignal.any([options.stop, lease.lostSignal, writeFailed.signal]);
  const deadlineAt = performance.now() + options.jobDeadlineMs;
  const isClosed = (): boolean =>
    stop.aborted || limiter.pausedMs() > 0 || performance.now() >= deadlineAt;
  const traceparent = newTraceparent();

  const writes = createWriteBehind({
    max: maxWritesBehind(options.concurrency),
    onFailure: (error) => writeFailed.abort(error),
  });

  async function record(entry: AttemptEntry, startedAt: number): Promise<void> {
    await lease.append(entry.type === 'result' ? reportEffects(entry, lease) : entry);
    if (entry.type === 'attempt') retryTimes.set(entry.index, entry.retryAt);
    if (entry.type === 'throttled') {
      telemetry.count('batchItemThrottled', 1, { 'error.type': entry.code });
    }
    if (entry.type !== 'result') return;
    retryTimes.delete(entry.index);
    const outcome = entry.line.error === null ? 'succeeded' : 'failed';
    telemetry.record('batchItemDuration', (performance.now() - startedAt) / 1_000, { outcome });
  }

  async function tryItem(index: number, permit: ConcurrencyPermit): Promise<void> {
    const startedAt = performance.now();
    const place = placeOf(shard, index);
    const journal = createItemJournal({ lease, index });
    const outcome = shard.duplicates.has(index)
      ? duplicateOutcome(place)
      : await runItem(shard.items[index], { ...options, place, stop, traceparent, journal });
    if (outcome.kind === 'stopped') return;
    const reason = reportToLimiter(outcome, permit);
    const { attempts, throttles, totalThrottles } = lease.view;
    const item = { place, index, attempts: attempts.get(index) };
    const entry =
      outcome.kind === 'result' || reason === undefined
        ? decideItemRetry(outcome, { ...item, now: clock.now() })
        : decideThrottledRetry(outcome, { ...item, reason, throttles: throttles.get(index) });
    if (entry.type === 'throttled' && totalThrottles >= MAX_THROTTLE_RECORDS) return;
    await writes.add(record(entry, startedAt));
  }

  await slidingWindow(due, {
    width: options.concurrency,
    isClosed,
    async run(index) {
      const permit = await limiter.acquire(stop);
      try {
        if (permit !== undefined && !isClosed()) await tryItem(index, permit);
      } finally {
        permit?.release();
      }
    },
  });
  await writes.settled();
}

/**
 * Results that may still be on their way to storage while the next items run. A crash repeats them.
 * With low concurrency there are none, so at most the running items are repeated. With high
 * concurrency half as many more, because a slow write would hold up all running items at once.
 */
function maxWritesBehind(concurrency: number): number {
  return concurrency < WRITE_BEHIND_CONCURRENCY ? 0 : Math.floor(concurrency / 2);
}

/** Returns the reason if the attempt was throttled together with the attempts of other items. */
function reportToLimiter(
  outcome: Exclude<ItemOutcome, { kind: 'stopped' }>,
  permit: ConcurrencyPermit,
): ThrottleReason | undefined {
  if (outcome.kind === 'result') {
    if (outcome.line.error === null) permit.succeeded();
    return undefined;
  }
  const reason = throttleReasonOf(outcome.code);
  if (reason === undefined) return undefined;
  const scope = permit.throttled(outcome.retryAfterSeconds);
  return reason === 'capacity' || scope === 'global' ? reason : undefined;
}

export function placeOf({ id, first, items }: Shard, index: number): ItemPlace {
  return { jobId: id, index: first + index, customId: customIdOf(items[index]) };
}

function duplicateOutcome(place: ItemPlace) {
  const line = failureLine(place, 'duplicate_custom_id', 'An earlier item has this custom_id');
  return { kind: 'result', line } as const;
}

/**
 * Runs the tasks with at most `width` at once. The next task starts as soon as one ends, so a slow
 * task holds up no other. Starts no further task once `isClosed` returns true. Rejects with the
 * first failure after every started task has ended.
 */
export async function slidingWindow<T>(
  tasks: Iterable<T>,
  {
    width,
    isClosed,
    run,
  }: {
    readonly width: number;
    readonly isClosed: () => boolean;
    readonly run: (task: T) => Promise<void>;
  },
): Promise<void> {
  const queue = tasks[Symbol.iterator]();
  let failure: { readonly error: unknown } | undefined;
  async function lane(): Promise<void> {
    while (failure === undefined && !isClosed()) {
      const next = queue.next();
      if (next.done === true) return;
      try {
        await run(next.value);
      } catch (error) {
        failure ??= { error };
      }
    }
  }
  await Promise.all(Array.from({ length: width }, lane));
  if (failure !== undefined) throw failure.error;
}

export interface WriteBehindOptions {
  /** Writes that may be pending while work goes on. */
  readonly max: number;
  /** Called once, at the first failure: later writes would fail too. */
  readonly onFailure: (error: unknown) => void;
}

/** Lets work go on while its last results are written, up to a bound. */
export interface WriteBehind {
  /** Resolves when the work may go on; never rejects. */
  add(write: Promise<void>): Promise<void>;
  /** Resolves when every write is done; rejects with the first failure. */
  settled(): Promise<void>;
}

export function createWriteBehind({ max, onFailure }: WriteBehindOptions): WriteBehind {
  const pending = new Set<Promise<void>>();
  let failure: { readonly error: unknown } | undefined;
  async function observe(write: Promise<void>): Promise<void> {
    try {
      await write;
    } catch (error) {
      if (failure === undefined) onFailure(error);
      failure ??= { error };
    }
  }
  return {
    async add(write) {
      const observed = observe(write).finally(() => pending.delete(observed));
      pending.add(observed);
      if (pending.size > max) await observed;
    },
    async settled() {
      await Promise.all(pending);
      if (failure !== undefined) throw failure.error;
    },
  };
}
