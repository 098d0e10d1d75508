import type { BatchRecord } from '../model/batch-record.ts';
import { failureLine, type ItemFailureCode } from '../model/item.ts';
import type { JobSender } from '../model/job-message.ts';
import { loadShard, type Shard, type ShardDependencies } from '../planning/load-shard.ts';
import { finishIfComplete } from './finish-batch.ts';
import { type PassOptions, placeOf, type RemainingWork, runPass } from './shard-pass.ts';
import type { BatchStore } from '../storage/batch-store.ts';
import type { ShardLease } from '../storage/shard-lease.ts';

/** How long a second delivery of a shard waits for the first one to end. */
const BUSY_DELAY_SECONDS = 10;
/**
 * More often than the platform delivers a message that fails each time: several jobs share a
 * process, and one that ends it takes its neighbours along.
 */
const MAX_CRASHES = 8;
const WATCH_EVERY_MS = 2_000;
/** The files of a large batch take a minute to write: after a long pass that is another delivery's. */
const LONG_PASS_MS = 60_000;
const NONE_LEFT: RemainingWork = { items: 0, delaySeconds: 0 };

export interface ProcessShardOptions extends PassOptions, ShardDependencies {
  readonly store: BatchStore;
  readonly sender: JobSender;
  /** How often a running shard looks whether its batch was cancelled. */
  readonly watchEveryMs?: number | undefined;
  /** How long a pass may last, in milliseconds, whose delivery also ends the batch. */
  readonly longPassMs?: number | undefined;
}

interface ShardWork {
  readonly record: BatchRecord;
  readonly shard: Shard;
  readonly hold: ShardLease;
}

/** One delivery of one shard. When it resolves, the message is not needed any more. */
export async function processShard(
  { record, shard: number }: { readonly record: BatchRecord; readonly shard: number },
  options: ProcessShardOptions,
): Promise<'unknown shard' | 'done'> {
  const { store, sender, telemetry, longPassMs = LONG_PASS_MS } = options;
  const startedAt = performance.now();
  const shard = await loadShard({ record, shard: number }, options);
  if (shard === undefined) return 'unknown shard';
  const message = { v: 1 as const, jobId: record.id, shard: number };
  const hold = await store.open({ ...shard, total: shard.items.length });
  if (hold === 'busy') {
    // Not dropped: the holder may have died a moment ago, and this be what is left of the shard.
    await sender.send(message, { delaySeconds: BUSY_DELAY_SECONDS });
    telemetry.info('batch shard lease busy');
    return 'done';
  }
  const remaining = await processLeasedShard({ record, shard, hold }, options);
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

async function processLeasedShard(
  work: ShardWork,
  options: ProcessShardOptions,
): Promise<RemainingWork> {
  const { hold } = work;
  try {
    const remaining =
      (await finishWithoutModelCalls(work, options)) ?? (await runItems(work, options));
    if (remaining.items === 0) await hold.finish();
    return remaining;
  } finally {
    await hold.release();
  }
}

/**
 * Without the count of crashes a job that kills its process would do so for ever: the process dies
 * before its hold ends, the next delivery finds the shard held, and what it sends on counts its
 * deliveries from one.
 */
async function finishWithoutModelCalls(
  work: ShardWork,
  options: ProcessShardOptions,
): Promise<RemainingWork | undefined> {
  const { record, shard, hold } = work;
  const { store, clock, telemetry } = options;
  if (hold.view.crashes >= MAX_CRASHES) {
    const { crashes } = hold.view;
    const why = `the process ended ${crashes} times in a row while it worked on the job`;
    const exhausted = await failUnfinished(shard, { hold, code: 'exhausted', why });
    telemetry.error('batch shard exhausted', { crashes, exhausted });
    return NONE_LEFT;
  }
  if (await store.isCancelled(record)) return cancelRest(work);
  if (clock.now() < Date.parse(record.expiresAt)) return undefined;
  const why = 'its batch was not finished within the completion window';
  const expired = await failUnfinished(shard, { hold, code: 'batch_expired', why });
  telemetry.warn('batch job expired', { expired });
  return NONE_LEFT;
}

/** Walks over the items until they are done, the time is up, or somebody cancels the batch. */
async function runItems(work: ShardWork, options: ProcessShardOptions): Promise<RemainingWork> {
  const { record, shard, hold } = work;
  const { store, watchEveryMs = WATCH_EVERY_MS } = options;
  const cancelled = new AbortController();
  const timer = setInterval(() => {
    // A look that fails is followed by another one.
    const looked = store.isCancelled(record).catch(() => false);
    void looked.then((is) => is && cancelled.abort(new Error('The batch was cancelled')));
  }, watchEveryMs);
  try {
    const stop = AbortSignal.any([options.stop, cancelled.signal]);
    const remaining = await runPass(shard, { hold, options: { ...options, stop } });
    return cancelled.signal.aborted ? await cancelRest(work) : remaining;
  } finally {
    clearInterval(timer);
  }
}

async function cancelRest({ shard, hold }: ShardWork): Promise<RemainingWork> {
  const why = 'its batch was cancelled';
  await failUnfinished(shard, { hold, code: 'batch_cancelled', why });
  return NONE_LEFT;
}

interface FailingItems {
  readonly hold: ShardLease;
  readonly code: ItemFailureCode;
  readonly why: string;
}

/** Gives every item without a result one that says why; what was answered stays. */
export async function failUnfinished(
  shard: Shard,
  { hold, code, why }: FailingItems,
): Promise<number> {
  const appends: Promise<void>[] = [];
  for (const index of shard.items.keys()) {
    if (hold.view.results.has(index)) continue;
    const attempts = hold.view.attempts.get(index);
    const tries =
      attempts === undefined
        ? ''
        : `; it failed ${attempts.count} times, at last with ${attempts.lastCode}`;
    const line = failureLine(placeOf(shard, index), code, `The item was given up: ${why}${tries}`);
    appends.push(hold.append({ type: 'result', index, line }));
  }
  await Promise.all(appends);
  return appends.length;
}
