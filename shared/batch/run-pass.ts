import { randomBytes } from 'node:crypto';
import type { Agent } from '../agent/agent.ts';
import type { Clock } from '../clock.ts';
import type { Telemetry } from '../telemetry/telemetry.ts';
import { answerItem } from './answer-item.ts';
import { customIdOf, type Job } from './job.ts';
import { judge } from './judge.ts';
import { isDue, secondsUntilDue } from './retry-times.ts';
import { failed, type ItemPlace } from './result.ts';
import type { JobHold } from './result-store.ts';
import { slidingWindow } from './sliding-window.ts';

export interface PassOptions {
  readonly agent: Agent;
  readonly concurrency: number;
  readonly jobDeadlineMs: number;
  readonly itemDeadlineMs: number;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
  /** Aborts when the instance must let go of its jobs. */
  readonly stop: AbortSignal;
}

/** What a pass left over. */
export interface Remaining {
  readonly items: number;
  /** When it makes sense to go on. */
  readonly delaySeconds: number;
}

interface PassNeeds {
  readonly hold: JobHold;
  readonly options: PassOptions;
}

/** One walk over the items of a job that have no result yet and are due. */
export async function runPass(job: Job, { hold, options }: PassNeeds): Promise<Remaining> {
  const { clock } = options;
  const retryTimes = openItems(job, hold);
  const due = [...retryTimes.keys()].filter((index) => isDue(retryTimes.get(index), clock.now()));
  if (due.length > 0) {
    await hold.append({ type: 'opened' });
    await walk(due, { job, hold, options, retryTimes });
    if (retryTimes.size > 0) await hold.append({ type: 'closed' });
  }
  const delaySeconds = secondsUntilDue(retryTimes.values(), clock.now());
  return { items: retryTimes.size, delaySeconds };
}

/** The items without a result, each with the time before which it must not be tried again. */
type RetryTimes = Map<number, number | undefined>;

function openItems(job: Job, { view }: JobHold): RetryTimes {
  const open = [...job.items.keys()].filter((index) => !view.results.has(index));
  return new Map(open.map((index) => [index, view.attempts.get(index)?.retryAt]));
}

interface Walk extends PassNeeds {
  readonly job: Job;
  readonly retryTimes: RetryTimes;
}

async function walk(due: readonly number[], { job, hold, options, retryTimes }: Walk) {
  const broken = new AbortController();
  const stop = AbortSignal.any([options.stop, hold.lost, broken.signal]);
  const closesAt = performance.now() + options.jobDeadlineMs;
  const duplicates = duplicateIndexes(job);
  const traceparent = `00-${randomBytes(16).toString('hex')}-${randomBytes(8).toString('hex')}-01`;
  const tryItem = async (index: number): Promise<void> => {
    const item = job.items[index];
    const place: ItemPlace = { jobId: job.jobId, index, customId: customIdOf(item) };
    const outcome = duplicates.has(index)
      ? duplicate(place)
      : await answerItem(item, { ...options, place, stop, traceparent });
    if (outcome.kind === 'stopped') return;
    const failedBefore = hold.view.attempts.get(index)?.count ?? 0;
    const entry = judge(outcome, { place, failedBefore, now: options.clock.now() });
    await hold.append(entry);
    if (entry.type === 'result') retryTimes.delete(index);
    else retryTimes.set(index, entry.retryAt);
  };
  await slidingWindow(due, {
    width: options.concurrency,
    isClosed: () => stop.aborted || performance.now() >= closesAt,
    run: (index) =>
      tryItem(index).catch((error: unknown) => {
        // What the others are about to be answered cannot be kept either: do not pay for it.
        broken.abort(error);
        throw error;
      }),
  });
}

function duplicate(place: ItemPlace) {
  const line = failed(place, 'duplicate_custom_id', 'An earlier item has this custom_id');
  return { kind: 'result', line } as const;
}

/** By the message alone, so that each delivery comes to the same verdict. */
function duplicateIndexes(job: Job): ReadonlySet<number> {
  const seen = new Set<string>();
  const duplicates = new Set<number>();
  for (const [index, item] of job.items.entries()) {
    const id = customIdOf(item);
    if (id === null) continue;
    if (seen.has(id)) duplicates.add(index);
    seen.add(id);
  }
  return duplicates;
}
