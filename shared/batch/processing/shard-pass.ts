import type { Agent } from '../../agent/agent.ts';
import { customIdOf, failureLine, type ItemPlace } from '../model/item.ts';
import type { Shard } from '../planning/load-shard.ts';
import type { ConcurrencyLimiter, ConcurrencyPermit } from './concurrency-limiter.ts';
import { isDue, decideItemRetry, decideThrottledRetry, secondsUntilDue } from './item-retry.ts';
import { runItem, type ItemOutcome, type ThrottleReason, throttleReasonOf } from './run-item.ts';
import { NO_THROTTLES } from '../storage/journal.ts';
import type { ShardLease } from '../storage/shard-lease.ts';
import type { Clock } from '../../clock.ts';
import type { Telemetry } from '../../telemetry/telemetry.ts';
import { newTraceparent } from '../../telemetry/trace-context.ts';

export interface PassOptions {
  readonly agent: Agent;
  /** The name that clients know the agent by. */
  readonly publicModel: string;
  /** Items of one shard that run at once. */
  readonly concurrency: number;
  /** What all shards of this process may ask together. */
  readonly pace: ConcurrencyLimiter;
  readonly jobDeadlineMs: number;
  readonly itemDeadlineMs: number;
  readonly clock: Clock;
  /** What the agent reads its deadlines by. */
  readonly agentClock: Clock;
  readonly telemetry: Telemetry;
  /** Aborts when the instance must let go of its jobs, or the batch was cancelled. */
  readonly stop: AbortSignal;
}

/** What a pass left over. */
export interface RemainingWork {
  readonly items: number;
  /** When it makes sense to go on. */
  readonly delaySeconds: number;
  /** Why they were not tried, or not yet again. */
  readonly reason?: 'stopping' | 'throttled' | 'waiting' | 'deadline';
}

interface PassDependencies {
  readonly hold: ShardLease;
  readonly options: PassOptions;
}

/** One walk over the items of a shard that have no result yet and are due. */
export async function runPass(
  shard: Shard,
  { hold, options }: PassDependencies,
): Promise<RemainingWork> {
  const { clock, pace } = options;
  const retryTimes = openItems(shard, hold);
  const due = dueItems(retryTimes, { now: clock.now(), hold });
  if (due.length > 0 && pace.blockedMs() === 0) {
    await hold.append({ type: 'opened' });
    await startItems(due, { shard, hold, options, retryTimes });
    if (retryTimes.size > 0) await hold.append({ type: 'closed' });
  }
  const dueSeconds = secondsUntilDue(retryTimes.values(), clock.now());
  const blockedSeconds = Math.ceil(pace.blockedMs() / 1_000);
  const delaySeconds = Math.max(dueSeconds, blockedSeconds);
  const waiting = dueSeconds > 0 ? 'waiting' : 'deadline';
  const asked = blockedSeconds > 0 ? 'throttled' : waiting;
  const reason = options.stop.aborted ? 'stopping' : asked;
  return { items: retryTimes.size, delaySeconds, reason };
}

/**
 * A journal takes fifty thousand writes, and results must always find room in it. Refusals beyond
 * these are not counted any more; the completion window ends what they would have ended.
 */
const MAX_THROTTLE_RECORDS = 10_000;
const MANY_LANES = 32;

/** The items without a result, each with the time before which it must not be tried again. */
type RetryTimes = Map<number, number | undefined>;

function openItems(shard: Shard, { view }: ShardLease): RetryTimes {
  const open = [...shard.items.keys()].filter((index) => !view.results.has(index));
  return new Map(open.map((index) => [index, view.attempts.get(index)?.retryAt]));
}

/**
 * Those first that were refused least: while nobody is served one item is asked at a time, and it
 * must not always be the same.
 */
function dueItems(
  retryTimes: RetryTimes,
  { now, hold }: { readonly now: number; readonly hold: ShardLease },
): number[] {
  const refused = (index: number): number => {
    const { away, 'no room': noRoom } = hold.view.refusals.get(index) ?? NO_THROTTLES;
    return away + noRoom;
  };
  return [...retryTimes.keys()]
    .filter((index) => isDue(retryTimes.get(index), now))
    .sort((one, other) => refused(one) - refused(other));
}

interface PassState extends PassDependencies {
  readonly shard: Shard;
  readonly retryTimes: RetryTimes;
}

async function startItems(due: readonly number[], { shard, hold, options, retryTimes }: PassState) {
  const { pace, clock, telemetry } = options;
  const broken = new AbortController();
  const stop = AbortSignal.any([options.stop, hold.lost, broken.signal]);
  const closesAt = performance.now() + options.jobDeadlineMs;
  const isClosed = (): boolean =>
    stop.aborted || pace.blockedMs() > 0 || performance.now() >= closesAt;
  const traceparent = newTraceparent();

  const writes = createWriteBehind({
    max: writesBehind(options.concurrency),
    onFailure: (error) => broken.abort(error),
  });

  async function keep(
    entry: ReturnType<typeof decideItemRetry | typeof decideThrottledRetry>,
    startedAt: number,
  ) {
    await hold.append(entry);
    if (entry.type === 'attempt') retryTimes.set(entry.index, entry.retryAt);
    if (entry.type === 'refused') {
      telemetry.count('batchItemThrottled', 1, { 'error.type': entry.code });
    }
    if (entry.type !== 'result') return;
    retryTimes.delete(entry.index);
    const outcome = entry.line.error === null ? 'succeeded' : 'failed';
    telemetry.record('batchItemDuration', (performance.now() - startedAt) / 1_000, { outcome });
  }

  async function tryItem(index: number, ticket: ConcurrencyPermit): Promise<void> {
    const startedAt = performance.now();
    const place = placeOf(shard, index);
    const outcome = shard.duplicates.has(index)
      ? duplicate(place)
      : await runItem(shard.items[index], { ...options, place, stop, traceparent });
    if (outcome.kind === 'stopped') return;
    const why = reportToLimiter(outcome, ticket);
    const { attempts, refusals, allRefusals } = hold.view;
    const tried = { place, index, attempts: attempts.get(index) };
    const entry =
      outcome.kind === 'result' || why === undefined
        ? decideItemRetry(outcome, { ...tried, now: clock.now() })
        : decideThrottledRetry(outcome, { ...tried, why, refusals: refusals.get(index) });
    if (entry.type === 'refused' && allRefusals >= MAX_THROTTLE_RECORDS) return;
    await writes.add(keep(entry, startedAt));
  }

  await slidingWindow(due, {
    width: options.concurrency,
    isClosed,
    async run(index) {
      const ticket = await pace.enter(stop);
      try {
        if (ticket !== undefined && !isClosed()) await tryItem(index, ticket);
      } finally {
        ticket?.leave();
      }
    },
  });
  await writes.settled();
}

/**
 * Answers that may be on their way to storage while the next items are asked. A crash repeats them,
 * so few lanes wait for each write: what is repeated is at most as much as they are. With many, half
 * as many again, for there a slow write would hold up a whole wave of answers.
 */
function writesBehind(concurrency: number): number {
  return concurrency < MANY_LANES ? 0 : Math.floor(concurrency / 2);
}

/** Tells the pace how a try went. Says why nobody is served, where it shows that. */
function reportToLimiter(
  outcome: Exclude<ItemOutcome, { kind: 'stopped' }>,
  ticket: ConcurrencyPermit,
): ThrottleReason | undefined {
  if (outcome.kind === 'result') {
    if (outcome.line.error === null) ticket.succeeded();
    return undefined;
  }
  const why = throttleReasonOf(outcome.code);
  if (why === undefined) return undefined;
  const refused = ticket.throttled(outcome.afterSeconds);
  return why === 'no room' || refused === 'all' ? why : undefined;
}

export function placeOf({ id, first, items }: Shard, index: number): ItemPlace {
  return { jobId: id, index: first + index, customId: customIdOf(items[index]) };
}

function duplicate(place: ItemPlace) {
  const line = failureLine(place, 'duplicate_custom_id', 'An earlier item has this custom_id');
  return { kind: 'result', line } as const;
}

/**
 * Runs the tasks with at most `width` at once and starts the next as soon as one ends, so that a
 * slow task holds up nobody. Takes no further task once `isClosed` says so. Rejects with the first
 * failure after all that was started has ended.
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
  /** Writes that may be on their way while the work goes on. */
  readonly max: number;
  /** Told of the first failure at once: what follows cannot be kept either. */
  readonly onFailure: (error: unknown) => void;
}

/** Lets work go on while its last results are being written, up to a bound. */
export interface WriteBehind {
  /** Resolves when the work may go on; never rejects. */
  add(write: Promise<void>): Promise<void>;
  /** Resolves when everything is written; rejects with the first failure. */
  settled(): Promise<void>;
}

export function createWriteBehind({ max, onFailure }: WriteBehindOptions): WriteBehind {
  const open = new Set<Promise<void>>();
  let failure: { readonly error: unknown } | undefined;
  async function watch(write: Promise<void>): Promise<void> {
    try {
      await write;
    } catch (error) {
      if (failure === undefined) onFailure(error);
      failure ??= { error };
    }
  }
  return {
    async add(write) {
      const watched = watch(write).finally(() => open.delete(watched));
      open.add(watched);
      if (open.size > max) await watched;
    },
    async settled() {
      await Promise.all(open);
      if (failure !== undefined) throw failure.error;
    },
  };
}
