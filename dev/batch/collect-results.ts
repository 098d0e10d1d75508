import { setTimeout as delay } from 'node:timers/promises';
import { digestOf } from '../../shared/batch/job.ts';
import type { JobView, ResultLine } from '../../shared/batch/result.ts';
import { PlainFailure } from '../plain-failure.ts';
import type { BatchService } from './batch-service.ts';
import type { PlannedJob } from './plan-jobs.ts';
import { describeSeconds } from './progress.ts';

/** Sends and reads at once: enough to hide the way to the storage, few enough not to flood it. */
const PARALLEL = 8;

export interface CollectOptions {
  readonly jobs: readonly PlannedJob[];
  readonly service: BatchService;
  readonly signal: AbortSignal;
  /** Told after each look how many items have a result. */
  readonly onProgress: (done: number) => void;
  readonly pollMs?: number;
  /** Longest time without a new result: nobody seems to work on the queue then. */
  readonly idleLimitMs?: number;
}

/** Submits what has no results yet and waits until every item has one. By input line. */
export async function collectResults(options: CollectOptions): Promise<Map<number, ResultLine>> {
  const { service, signal, onProgress, pollMs = 300, idleLimitMs = 600_000 } = options;
  const results = new Map<number, ResultLine>();
  const look = async (planned: PlannedJob): Promise<boolean> => {
    signal.throwIfAborted();
    const view = await service.read(planned.job.jobId);
    return view !== undefined && takeResults(view, { planned, results });
  };
  let open = await keepOpen(options.jobs, look);
  await inParallel(open, async ({ job }) => {
    signal.throwIfAborted();
    await service.submit(job);
  });
  onProgress(results.size);
  let changedAt = performance.now();
  while (open.length > 0) {
    await delay(pollMs, undefined, { signal });
    const before = results.size;
    open = await keepOpen(open, look);
    if (results.size > before) changedAt = performance.now();
    else if (performance.now() - changedAt > idleLimitMs) throw idleFailure(idleLimitMs);
    onProgress(results.size);
  }
  return results;
}

/** Whether the job is complete; its results so far are taken either way. */
function takeResults(
  view: JobView,
  target: { readonly planned: PlannedJob; readonly results: Map<number, ResultLine> },
): boolean {
  const { job, items } = target.planned;
  if (view.digest !== digestOf(job)) {
    throw new PlainFailure(
      `Cannot submit as job ${job.jobId} must hold the same items as before: choose another --job`,
    );
  }
  for (const [index, { line, customId }] of items.entries()) {
    const result = view.results.get(index);
    // The service may not have been able to read the id of a malformed item; we know it.
    if (result !== undefined) target.results.set(line, { ...result, custom_id: customId });
  }
  return view.results.size >= items.length;
}

async function keepOpen(
  jobs: readonly PlannedJob[],
  isComplete: (job: PlannedJob) => Promise<boolean>,
): Promise<PlannedJob[]> {
  const open = new Set(jobs);
  await inParallel(jobs, async (job) => {
    if (await isComplete(job)) open.delete(job);
  });
  return [...open];
}

async function inParallel<T>(all: readonly T[], act: (one: T) => Promise<void>): Promise<void> {
  const queue = all.values();
  const worker = async (): Promise<void> => {
    for (const one of queue) await act(one);
  };
  await Promise.all(Array.from({ length: PARALLEL }, worker));
}

function idleFailure(idleLimitMs: number): PlainFailure {
  return new PlainFailure(
    `Cannot go on as results must come at least every ${describeSeconds(idleLimitMs / 1_000)}: is the app running?`,
  );
}
