import { type BatchRecord, endedOutcome } from '../model/batch-record.ts';
import { failureLine, type ItemFailureCode } from '../model/item.ts';
import type { JobSender, ShardJob } from '../model/job-message.ts';
import { loadShard, type Shard, type ShardDependencies } from '../planning/load-shard.ts';
import type { ConcurrencyLimiters } from './concurrency-limiter.ts';
import { continueBatch } from './finish-batch.ts';
import { reportEffects } from './item-journal.ts';
import { type PassOptions, placeOf, type RemainingWork, runPass } from './shard-pass.ts';
import type { ItemBudgets } from './owner-budget.ts';
import type { BatchStore } from '../storage/batch-store.ts';
import type { ShardLease } from '../storage/shard-lease.ts';

/** First delay of a message whose shard another delivery processes; doubled while that continues. */
const BUSY_DELAY_SECONDS = 10;
const MAX_BUSY_DELAY_SECONDS = 160;
/**
 * Longest time until a batch without a budget checks it again. Runs of the owner that return a part of
 * their reservations, and a higher budget, are noticed within it.
 */
const MAX_BUDGET_DELAY_SECONDS = 600;
/** How often a running shard checks whether other messages wait. */
const YIELD_CHECK_MS = 5_000;
/**
 * Higher than the deliveries of the platform: several jobs share a process, and a job that crashes
 * it counts a crash for each of them.
 */
const MAX_CRASHES = 8;
const CANCEL_CHECK_MS = 2_000;
/** Writing the files of a large batch takes a minute, so after a long pass the next delivery does it. */
const LONG_PASS_MS = 60_000;
/** What a delivery did with its shard. */
type ProcessedShard = RemainingWork | 'busy' | 'superseded';
const NONE_LEFT: RemainingWork = { items: 0, delaySeconds: 0 };

export interface ProcessShardOptions
  extends Omit<PassOptions, 'limiter' | 'reserve' | 'isYielding'>, ShardDependencies {
  readonly limiters: ConcurrencyLimiters;
  readonly budgets: ItemBudgets;
  readonly store: BatchStore;
  readonly sender: JobSender;
  readonly yieldCheckMs?: number | undefined;
  /** How often a running shard checks whether its batch was cancelled. */
  readonly cancelCheckMs?: number | undefined;
  /** Longest pass, in ms, after which the same delivery also finishes the batch. */
  readonly longPassMs?: number | undefined;
}

/** One delivery of one shard. */
interface ShardDelivery {
  readonly record: BatchRecord;
  readonly job: Omit<ShardJob, 'v'>;
}

interface LeasedShard extends ShardDelivery {
  readonly shard: Shard;
  readonly lease: ShardLease;
  /** The id of the message that continues the shard. */
  readonly nextMessageId: string;
}

/** Processes one delivery of one shard. When it resolves, the message may be deleted. */
export async function processShard(
  { record, job }: ShardDelivery,
  options: ProcessShardOptions,
): Promise<'unknown shard' | 'done'> {
  const { store, sender, telemetry, longPassMs = LONG_PASS_MS } = options;
  const startedAt = performance.now();
  const shard = await loadShard({ record, shard: job.shard }, options);
  if (shard === undefined) return 'unknown shard';
  const message = { v: 1 as const, jobId: record.id, shard: job.shard };
  const lease = await store.acquireShard({ ...shard, total: shard.items.length });
  const nextMessageId = crypto.randomUUID();
  const processed =
    lease === 'busy'
      ? 'busy'
      : await processLeasedShard({ record, job, shard, lease, nextMessageId }, options);
  if (processed === 'superseded') {
    telemetry.info('batch message superseded');
    return 'done';
  }
  if (processed === 'busy') {
    // Not dropped: the holder may have crashed, and this may be the last message of the shard.
    const { messageId, busy = 0 } = job;
    const again = { ...message, ...(messageId !== undefined && { messageId }), busy: busy + 1 };
    await sender.send(again, { delaySeconds: busyDelaySeconds(busy) });
    telemetry.info('batch shard lease busy');
    return 'done';
  }
  if (processed.items > 0) {
    await sender.send({ ...message, messageId: nextMessageId }, processed);
    telemetry.info('batch shard rescheduled', { ...processed });
    return 'done';
  }
  telemetry.info('batch shard finished', { total: shard.items.length });
  const isLong = performance.now() - startedAt > longPassMs;
  if (isLong) await sender.send(message, { delaySeconds: 0 });
  else await continueBatch({ record, shard: job.shard }, options);
  return 'done';
}

function busyDelaySeconds(busy: number): number {
  return Math.min(MAX_BUSY_DELAY_SECONDS, BUSY_DELAY_SECONDS * 2 ** busy);
}

/** Resolves to `busy` if another delivery acquired the lease meanwhile, which is not an error. */
async function processLeasedShard(
  leased: LeasedShard,
  options: ProcessShardOptions,
): Promise<ProcessedShard> {
  const { lease, job, nextMessageId } = leased;
  try {
    if (!lease.accepts(job.messageId)) return 'superseded';
    const remaining =
      (await finishWithoutModelCalls(leased, options)) ?? (await runItems(leased, options));
    if (remaining.items === 0) {
      await lease.finish();
      return remaining;
    }
    const { delaySeconds, budgetReturnsAt } = nextDelivery(remaining, leased.record, options);
    await lease.reschedule({ next: nextMessageId, current: job.messageId, budgetReturnsAt });
    return { ...remaining, delaySeconds };
  } catch (error) {
    if (lease.lostSignal.aborted) return 'busy';
    throw error;
  } finally {
    await lease.release();
  }
}

/** When a shard is delivered again, and until when it waits for the budget of its owner. */
function nextDelivery(
  { reason, delaySeconds }: RemainingWork,
  { expiresAt }: BatchRecord,
  { clock }: Pick<ProcessShardOptions, 'clock'>,
): { readonly delaySeconds: number; readonly budgetReturnsAt: number | undefined } {
  if (reason !== 'budget_exhausted') return { delaySeconds, budgetReturnsAt: undefined };
  const now = clock.now();
  // At the end of the window the open items fail.
  const endsAt = Math.min(now + delaySeconds * 1_000, Date.parse(expiresAt));
  const seconds = Math.max(1, Math.ceil((endsAt - now) / 1_000));
  return { delaySeconds: Math.min(seconds, MAX_BUDGET_DELAY_SECONDS), budgetReturnsAt: endsAt };
}

/**
 * Ends a shard that may not run: it crashed too often, or its batch is cancelled or expired.
 *
 * The platform's delivery count cannot replace the crash count: a process that crashes keeps its
 * lease for a while, so the redelivery finds the shard busy and queues a new message.
 */
async function finishWithoutModelCalls(
  leased: LeasedShard,
  { store, clock, telemetry }: ProcessShardOptions,
): Promise<RemainingWork | undefined> {
  const { record, shard, lease } = leased;
  const { crashes } = lease.view;
  if (crashes >= MAX_CRASHES) {
    const why = `the process ended ${crashes} times in a row while it worked on the job`;
    const exhausted = await failUnfinished(shard, { lease, code: 'exhausted', why });
    telemetry.error('batch shard exhausted', { crashes, exhausted });
    return NONE_LEFT;
  }
  const ended = endedOutcome(record, clock.now());
  if (ended === 'cancelled') return cancelOpenItems(leased);
  if (ended === undefined) {
    return (await store.isCancelled(record)) ? cancelOpenItems(leased) : undefined;
  }
  const why = 'its batch was not finished within the completion window';
  const expired = await failUnfinished(shard, { lease, code: 'batch_expired', why });
  telemetry.warn('batch shard expired', { expired });
  return NONE_LEFT;
}

/** Runs the items until they are done, the deadline passes, or the batch is cancelled. */
async function runItems(leased: LeasedShard, options: ProcessShardOptions): Promise<RemainingWork> {
  const { record, shard, lease } = leased;
  const { store, cancelCheckMs = CANCEL_CHECK_MS } = options;
  const cancelled = new AbortController();
  const waiting = observeWaiting(options);
  const timer = setInterval(() => {
    // A check that fails is repeated by the next one.
    const checked = store.isCancelled(record).catch(() => false);
    void checked.then((is) => is && cancelled.abort(new Error('The batch was cancelled')));
  }, cancelCheckMs);
  try {
    const stop = AbortSignal.any([options.stop, cancelled.signal]);
    const limiter = options.limiters.forBatch(record.id, record.owner);
    const { owner } = record;
    const reserve: PassOptions['reserve'] = (input) => options.budgets.reserve(owner, input);
    const { isYielding } = waiting;
    const remaining = await runPass(shard, {
      lease,
      options: { ...options, limiter, reserve, isYielding, stop },
    });
    return cancelled.signal.aborted ? await cancelOpenItems(leased) : remaining;
  } finally {
    clearInterval(timer);
    waiting.stop();
  }
}

/**
 * Observes whether other messages wait on the queue. One that does at two checks in a row will not be
 * received before a shard makes way.
 */
function observeWaiting({ sender, yieldCheckMs = YIELD_CHECK_MS }: ProcessShardOptions) {
  let seen = 0;
  const timer = setInterval(() => {
    // A check that fails is repeated by the next one.
    const checked = sender.hasWaiting().catch(() => false);
    void checked.then((isWaiting) => (seen = isWaiting ? seen + 1 : 0));
  }, yieldCheckMs);
  return { isYielding: () => seen >= 2, stop: () => clearInterval(timer) };
}

async function cancelOpenItems({ shard, lease }: LeasedShard): Promise<RemainingWork> {
  const why = 'its batch was cancelled';
  await failUnfinished(shard, { lease, code: 'batch_cancelled', why });
  return NONE_LEFT;
}

interface UnfinishedItems {
  readonly lease: ShardLease;
  readonly code: ItemFailureCode;
  readonly why: string;
}

/** Writes a failed result for every item without a result; returns their number. */
export async function failUnfinished(
  shard: Shard,
  { lease, code, why }: UnfinishedItems,
): Promise<number> {
  const appends: Promise<void>[] = [];
  for (const index of shard.items.keys()) {
    if (lease.view.results.has(index)) continue;
    const attempts = lease.view.attempts.get(index);
    const tries =
      attempts === undefined
        ? ''
        : `; it failed ${attempts.count} times, at last with ${attempts.lastCode}`;
    const message = `The item has no result: ${why}${tries}`;
    const line = failureLine(placeOf(shard, index), code, message);
    appends.push(lease.append(reportEffects({ type: 'result', index, line }, lease)));
  }
  await Promise.all(appends);
  return appends.length;
}
