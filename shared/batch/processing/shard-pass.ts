import type { Agent } from '../../agent/agent.ts';
import { customIdOf, failureLine, type ItemPlace } from '../model/item.ts';
import type { Shard } from '../planning/load-shard.ts';
import type { ConcurrencyLimiter, ConcurrencyPermit } from './concurrency-limiter.ts';
import { isDue, decideItemRetry, decideThrottledRetry, secondsUntilDue } from './item-retry.ts';
import { createItemJournal, reportEffects } from './item-journal.ts';
import type { ExhaustedBudget } from './owner-budget.ts';
import {
  type AttemptOutcome,
  type ItemOptions,
  runItem,
  writeItemAudit,
  type ThrottleReason,
  throttleReasonOf,
} from './run-item.ts';
import { createWriteBehind, slidingWindow } from './sliding-window.ts';
import { NO_THROTTLES } from '../storage/journal.ts';
import type { ShardLease } from '../storage/shard-lease.ts';
import type { Clock } from '../../clock.ts';
import type { Telemetry } from '../../telemetry/telemetry.ts';
import { type AuditTrail, createAuditTrail } from '../../telemetry/audit.ts';
import { newTraceparent } from '../../telemetry/spans.ts';

export interface PassOptions {
  readonly agent: Agent;
  /** The model name in responses. */
  readonly publicModel: string;
  /** Items of one shard that run at once. */
  readonly concurrency: number;
  /** Shared by all shards of the batch in this process. */
  readonly limiter: ConcurrencyLimiter;
  readonly reserve: ItemOptions['reserve'];
  /** Whether the pass must make way for other messages that wait: it starts no further item. */
  readonly isYielding: () => boolean;
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
  readonly reason?:
    | 'stopping'
    | 'budget_exhausted'
    | 'throttled'
    | 'waiting'
    | 'yielded'
    | 'deadline';
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
  let budgetSeconds = 0;
  if (due.length > 0 && limiter.pausedMs() === 0) {
    await lease.append({ type: 'opened' });
    budgetSeconds = await runDueItems(due, { shard, lease, options, retryTimes });
    if (retryTimes.size > 0) await lease.append({ type: 'closed' });
  }
  const dueSeconds = secondsUntilDue(retryTimes.values(), clock.now());
  const pausedSeconds = Math.ceil(limiter.pausedMs() / 1_000);
  const delaySeconds = Math.max(dueSeconds, pausedSeconds, budgetSeconds);
  return {
    items: retryTimes.size,
    delaySeconds,
    reason: remainingReason({
      isStopped: options.stop.aborted,
      budgetSeconds,
      pausedSeconds,
      dueSeconds,
      isYielding: options.isYielding(),
    }),
  };
}

function remainingReason({
  isStopped,
  budgetSeconds,
  pausedSeconds,
  dueSeconds,
  isYielding,
}: {
  readonly isStopped: boolean;
  readonly isYielding: boolean;
  readonly budgetSeconds: number;
  readonly pausedSeconds: number;
  readonly dueSeconds: number;
}): NonNullable<RemainingWork['reason']> {
  if (isStopped) return 'stopping';
  if (budgetSeconds > 0) return 'budget_exhausted';
  if (pausedSeconds > 0) return 'throttled';
  if (dueSeconds > 0) return 'waiting';
  return isYielding ? 'yielded' : 'deadline';
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

/** Returns the seconds until the owner has a budget again; 0 if there is one. */
async function runDueItems(
  due: readonly number[],
  { shard, lease, options, retryTimes }: PassState,
): Promise<number> {
  const { limiter, clock, telemetry } = options;
  const writeFailed = new AbortController();
  const stop = AbortSignal.any([options.stop, lease.lostSignal, writeFailed.signal]);
  const deadlineAt = performance.now() + options.jobDeadlineMs;
  let budgetSeconds = 0;
  const isClosed = (): boolean =>
    stop.aborted ||
    budgetSeconds > 0 ||
    limiter.pausedMs() > 0 ||
    options.isYielding() ||
    performance.now() >= deadlineAt;
  const traceparent = newTraceparent();

  const writes = createWriteBehind({
    max: maxWritesBehind(options.concurrency),
    onFailure: (error) => writeFailed.abort(error),
  });

  async function tryItem(
    index: number,
    permit: ConcurrencyPermit,
  ): Promise<ExhaustedBudget | undefined> {
    const audit = createAuditTrail(shard.owner);
    const place = placeOf(shard, index);
    const journal = createItemJournal({ lease, index });
    const outcome = shard.duplicates.has(index)
      ? duplicateOutcome(place)
      : await runItem(shard.items[index], { ...options, place, stop, traceparent, journal, audit });
    if (outcome.kind === 'stopped') return undefined;
    if (outcome.kind === 'budget exhausted') return outcome;
    const reason = reportToLimiter(outcome, permit);
    const { attempts, throttles, totalThrottles } = lease.view;
    const item = { place, index, attempts: attempts.get(index) };
    const entry =
      outcome.kind === 'result' || reason === undefined
        ? decideItemRetry(outcome, { ...item, now: clock.now() })
        : decideThrottledRetry(outcome, { ...item, reason, throttles: throttles.get(index) });
    if (entry.type === 'throttled' && totalThrottles >= MAX_THROTTLE_RECORDS) return undefined;
    await writes.add(recordEntry(entry, { shard, lease, retryTimes, telemetry, audit }));
    return undefined;
  }

  await slidingWindow(due, {
    width: options.concurrency,
    isClosed,
    async run(index) {
      const exhausted = await untilBudgetCovers(stop, () =>
        withPermit(limiter, stop, async (permit) =>
          isClosed() ? undefined : tryItem(index, permit),
        ),
      );
      if (exhausted !== undefined) budgetSeconds = exhausted.retryAfterSeconds;
    },
  });
  await writes.settled();
  return budgetSeconds;
}

type ItemEntry = ReturnType<typeof decideItemRetry | typeof decideThrottledRetry>;

interface EntryContext extends Pick<PassState, 'shard' | 'lease' | 'retryTimes'> {
  readonly telemetry: Telemetry;
  readonly audit: AuditTrail;
}

async function recordEntry(
  entry: ItemEntry,
  { shard, lease, retryTimes, telemetry, audit }: EntryContext,
): Promise<void> {
  await lease.append(entry.type === 'result' ? reportEffects(entry, lease) : entry);
  if (entry.type === 'attempt') retryTimes.set(entry.index, entry.retryAt);
  if (entry.type === 'throttled') {
    telemetry.count('batchItemThrottled', 1, { 'error.type': entry.code });
  }
  if (entry.type !== 'result') return;
  retryTimes.delete(entry.index);
  const outcome = entry.line.error === null ? 'succeeded' : 'failed';
  telemetry.record('batchItemDuration', audit.elapsedMs() / 1_000, { outcome });
  writeItemAudit(entry.line, { shard, index: entry.index, audit, telemetry });
}

/** Undefined if the signal aborts or the limiter is paused. */
async function withPermit<T>(
  limiter: ConcurrencyLimiter,
  stop: AbortSignal,
  use: (permit: ConcurrencyPermit) => Promise<T>,
): Promise<T | undefined> {
  const permit = await limiter.acquire(stop);
  if (permit === undefined) return undefined;
  try {
    return await use(permit);
  } finally {
    permit.release();
  }
}

/**
 * Repeats an attempt while running items of the owner may return tokens. It waits without a permit, so
 * that batches of other owners can run meanwhile.
 */
async function untilBudgetCovers(
  stop: AbortSignal,
  attempt: () => Promise<ExhaustedBudget | undefined>,
): Promise<ExhaustedBudget | undefined> {
  let exhausted = await attempt();
  while (exhausted?.nextSettlement !== undefined) {
    await exhausted.nextSettlement(stop);
    exhausted = await attempt();
  }
  return exhausted;
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
  outcome: AttemptOutcome,
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
