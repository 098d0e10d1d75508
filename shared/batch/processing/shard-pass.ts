import { randomBytes } from 'node:crypto';
import type { Agent } from '../../agent/agent.ts';
import type { Clock } from '../../clock.ts';
import type { Telemetry } from '../../telemetry/telemetry.ts';
import { answerItem, type ItemOutcome } from './run-item.ts';
import { customIdOf } from '../model/item.part.ts';
import { judge, judgeRefusal } from './item-retry.ts';
import type { Pace, Ticket } from './concurrency-limiter.ts';
import { refusalOf, type Refusal } from './refusals.ts';
import { isDue, secondsUntilDue } from './retry-times.ts';
import { failed, type ItemPlace } from '../model/item.ts';
import { NO_REFUSALS } from '../storage/journal.ts';
import type { ShardHold } from '../storage/shard-lease.ts';
import type { Shard } from '../planning/load-shard.ts';
import { slidingWindow } from './sliding-window.ts';
import { createWriteBehind } from './write-behind.ts';

export interface PassOptions {
  readonly agent: Agent;
  /** Items of one shard that run at once. */
  readonly concurrency: number;
  /** What all shards of this process may ask together. */
  readonly pace: Pace;
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
export interface Remaining {
  readonly items: number;
  /** When it makes sense to go on. */
  readonly delaySeconds: number;
  /** Why they were not tried, or not yet again. */
  readonly reason?: 'stopping' | 'throttled' | 'waiting' | 'time up';
}

interface PassNeeds {
  readonly hold: ShardHold;
  readonly options: PassOptions;
}

/** One walk over the items of a shard that have no result yet and are due. */
export async function runPass(shard: Shard, { hold, options }: PassNeeds): Promise<Remaining> {
  const { clock, pace } = options;
  const retryTimes = openItems(shard, hold);
  const due = dueItems(retryTimes, { now: clock.now(), hold });
  if (due.length > 0 && pace.blockedMs() === 0) {
    await hold.append({ type: 'opened' });
    await walk(due, { shard, hold, options, retryTimes });
    if (retryTimes.size > 0) await hold.append({ type: 'closed' });
  }
  const dueSeconds = secondsUntilDue(retryTimes.values(), clock.now());
  const blockedSeconds = Math.ceil(pace.blockedMs() / 1_000);
  const delaySeconds = Math.max(dueSeconds, blockedSeconds);
  const waiting = dueSeconds > 0 ? 'waiting' : 'time up';
  const asked = blockedSeconds > 0 ? 'throttled' : waiting;
  const reason = options.stop.aborted ? 'stopping' : asked;
  return { items: retryTimes.size, delaySeconds, reason };
}

/**
 * A journal takes fifty thousand writes, and results must always find room in it. Refusals beyond
 * these are not counted any more; the completion window ends what they would have ended.
 */
const MAX_REFUSALS_KEPT = 10_000;
const MANY_LANES = 32;

/** The items without a result, each with the time before which it must not be tried again. */
type RetryTimes = Map<number, number | undefined>;

function openItems(shard: Shard, { view }: ShardHold): RetryTimes {
  const open = [...shard.items.keys()].filter((index) => !view.results.has(index));
  return new Map(open.map((index) => [index, view.attempts.get(index)?.retryAt]));
}

/**
 * Those first that were refused least: while nobody is served one item is asked at a time, and it
 * must not always be the same.
 */
function dueItems(
  retryTimes: RetryTimes,
  { now, hold }: { readonly now: number; readonly hold: ShardHold },
): number[] {
  const refused = (index: number): number => {
    const { away, 'no room': noRoom } = hold.view.refusals.get(index) ?? NO_REFUSALS;
    return away + noRoom;
  };
  return [...retryTimes.keys()]
    .filter((index) => isDue(retryTimes.get(index), now))
    .sort((one, other) => refused(one) - refused(other));
}

interface Walk extends PassNeeds {
  readonly shard: Shard;
  readonly retryTimes: RetryTimes;
}

async function walk(due: readonly number[], { shard, hold, options, retryTimes }: Walk) {
  const { pace, clock, telemetry } = options;
  const broken = new AbortController();
  const stop = AbortSignal.any([options.stop, hold.lost, broken.signal]);
  const closesAt = performance.now() + options.jobDeadlineMs;
  const isClosed = (): boolean =>
    stop.aborted || pace.blockedMs() > 0 || performance.now() >= closesAt;
  const traceparent = `00-${randomBytes(16).toString('hex')}-${randomBytes(8).toString('hex')}-01`;

  const writes = createWriteBehind({
    max: writesBehind(options.concurrency),
    onFailure: (error) => broken.abort(error),
  });

  async function keep(entry: ReturnType<typeof judge | typeof judgeRefusal>, startedAt: number) {
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

  async function tryItem(index: number, ticket: Ticket): Promise<void> {
    const startedAt = performance.now();
    const place = placeOf(shard, index);
    const outcome = shard.duplicates.has(index)
      ? duplicate(place)
      : await answerItem(shard.items[index], { ...options, place, stop, traceparent });
    if (outcome.kind === 'stopped') return;
    const why = tellPace(outcome, ticket);
    const { attempts, refusals, allRefusals } = hold.view;
    const tried = { place, index, attempts: attempts.get(index) };
    const entry =
      outcome.kind === 'result' || why === undefined
        ? judge(outcome, { ...tried, now: clock.now() })
        : judgeRefusal(outcome, { ...tried, why, refusals: refusals.get(index) });
    if (entry.type === 'refused' && allRefusals >= MAX_REFUSALS_KEPT) return;
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
function tellPace(
  outcome: Exclude<ItemOutcome, { kind: 'stopped' }>,
  ticket: Ticket,
): Refusal | undefined {
  if (outcome.kind === 'result') {
    if (outcome.line.error === null) ticket.succeeded();
    return undefined;
  }
  const why = refusalOf(outcome.code);
  if (why === undefined) return undefined;
  const refused = ticket.throttled(outcome.afterSeconds);
  return why === 'no room' || refused === 'all' ? why : undefined;
}

export function placeOf({ id, first, items }: Shard, index: number): ItemPlace {
  return { jobId: id, index: first + index, customId: customIdOf(items[index]) };
}

function duplicate(place: ItemPlace) {
  const line = failed(place, 'duplicate_custom_id', 'An earlier item has this custom_id');
  return { kind: 'result', line } as const;
}
