import { type BatchRecord, endedOutcome } from '../model/batch-record.ts';
import { failureLine, type ItemFailureCode } from '../model/item.ts';
import type { JobSender } from '../model/job-message.ts';
import { loadShard, type Shard, type ShardDependencies } from '../planning/load-shard.ts';
import type { ConcurrencyLimiters } from './concurrency-limiter.ts';
import { finishIfComplete } from './finish-batch.ts';
import { reportEffects } from './item-journal.ts';
import { type PassOptions, placeOf, type RemainingWork, runPass } from './shard-pass.ts';
import type { BatchStore } from '../storage/batch-store.ts';
import type { ShardLease } from '../storage/shard-lease.ts';

/** Delay of a delivery whose shard another delivery processes. */
const BUSY_DELAY_SECONDS = 10;
/**
 * Higher than the deliveries of the platform: several jobs share a process, and a job that crashes
 * it counts a crash for each of them.
 */
const MAX_CRASHES = 8;
const CANCEL_CHECK_MS = 2_000;
/** Writing the files of a large batch takes a minute, so after a long pass the next delivery does it. */
const LONG_PASS_MS = 60_000;
const NONE_LEFT: RemainingWork = { items: 0, delaySeconds: 0 };

export interface ProcessShardOptions extends Omit<PassOptions, 'limiter'>, ShardDependencies {
  readonly limiters: ConcurrencyLimiters;
  readonly store: BatchStore;
  readonly sender: JobSender;
  /** How often a running shard checks whether its batch was cancelled. */
  readonly cancelCheckMs?: number | undefined;
  /** Longest pass, in ms, after which the same delivery also finishes the batch. */
  readonly longPassMs?: number | undefined;
}

interface LeasedShard {
  readonly record: BatchRecord;
  readonly shard: Shard;
  readonly lease: ShardLease;
}

/** Processes one delivery of one shard. When it resolves, the message may be deleted. */
export async function processShard(
  { record, shard: number }: { readonly record: BatchRecord; readonly shard: number },
  options: ProcessShardOptions,
): Promise<'unknown shard' | 'done'> {
  const { store, sender, telemetry, longPassMs = LONG_PASS_MS } = options;
  const startedAt = performance.now();
  const shard = await loadShard({ record, shard: number }, options);
  if (shard === undefined) return 'unknown shard';
  const message = { v: 1 as const, jobId: record.id, shard: number };
  const lease = await store.acquireShard({ ...shard, total: shard.items.length });
  const remaining =
    lease === 'busy' ? 'busy' : await processLeasedShard({ record, shard, lease }, options);
  if (remaining === 'busy') {
    // Not dropped: the holder may have crashed, and this may be the last message of the shard.
    await sender.send(message, { delaySeconds: BUSY_DELAY_SECONDS });
    telemetry.info('batch shard lease busy');
    return 'done';
  }
  if (remaining.items > 0) {
    await sender.send(message, { delaySeconds: remaining.delaySeconds });
    telemetry.info('batch shard rescheduled', { ...remaining });
  } else {
    telemetry.info('batch shard finished', { total: shard.items.length });
    const isLong = performance.now() - startedAt > longPassMs;
    if (isLong) await sender.send(message, { delaySeconds: 0 });
    else await finishIfComplete(record, options);
  }
  return 'done';
}

/** Resolves to `busy` if another delivery acquired the lease meanwhile, which is not an error. */
async function processLeasedShard(
  leased: LeasedShard,
  options: ProcessShardOptions,
): Promise<RemainingWork | 'busy'> {
  const { lease } = leased;
  try {
    const remaining =
      (await finishWithoutModelCalls(leased, options)) ?? (await runItems(leased, options));
    if (remaining.items === 0) await lease.finish();
    return remaining;
  } catch (error) {
    if (lease.lostSignal.aborted) return 'busy';
    throw error;
  } finally {
    await lease.release();
  }
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
  const timer = setInterval(() => {
    // A check that fails is repeated by the next one.
    const checked = store.isCancelled(record).catch(() => false);
    void checked.then((is) => is && cancelled.abort(new Error('The batch was cancelled')));
  }, cancelCheckMs);
  try {
    const stop = AbortSignal.any([options.stop, cancelled.signal]);
    const limiter = options.limiters.forBatch(record.id);
    const remaining = await runPass(shard, { lease, options: { ...options, limiter, stop } });
    return cancelled.signal.aborted ? await cancelOpenItems(leased) : remaining;
  } finally {
    clearInterval(timer);
  }
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
