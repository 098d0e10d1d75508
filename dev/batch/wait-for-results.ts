import { setTimeout as delay } from 'node:timers/promises';
import type { ResultLine } from '../../shared/batch/result.ts';
import { PlainFailure } from '../plain-failure.ts';
import type { BatchService } from './batch-service.ts';
import { describeSeconds } from './progress.ts';
import type { SentItem } from './read-items.ts';

export interface WaitOptions {
  readonly jobId: string;
  readonly service: BatchService;
  readonly signal: AbortSignal;
  readonly onSubmitted: (id: string) => void;
  /** Told after each look how many items have a result. */
  readonly onProgress: (done: number) => void;
  readonly pollMs?: number;
  /** Longest time without a new result: nobody seems to work on it then. */
  readonly idleLimitMs?: number;
}

/** Submits the items and waits until every one has its result. By input line. */
export async function waitForResults(
  items: readonly SentItem[],
  options: WaitOptions,
): Promise<Map<number, ResultLine>> {
  const { service, signal, onProgress } = options;
  if (items.length === 0) return new Map();
  signal.throwIfAborted();
  const lines = items.map(({ item }) => `${JSON.stringify(item)}\n`).join('');
  const id = await service.submit(options.jobId, lines);
  options.onSubmitted(id);
  await untilEnded(id, options);
  const lineOf = new Map(items.map(({ customId, line }) => [customId, line]));
  const results = new Map<number, ResultLine>();
  for await (const result of service.results(id)) {
    const line = lineOf.get(result.custom_id ?? '');
    if (line !== undefined) results.set(line, result);
  }
  onProgress(results.size);
  if (results.size < items.length) {
    throw new PlainFailure(
      `Cannot write the results as each of ${items.length} items must have one: ${results.size} have`,
    );
  }
  return results;
}

async function untilEnded(id: string, options: WaitOptions): Promise<void> {
  const { service, signal, onProgress, pollMs = 300, idleLimitMs = 600_000 } = options;
  let done = -1;
  let changedAt = performance.now();
  for (;;) {
    const progress = await service.look(id);
    if (progress?.refused !== undefined) {
      throw new PlainFailure(`Cannot run the batch: ${progress.refused}`);
    }
    if (progress?.ended === true) return;
    if ((progress?.done ?? -1) > done) changedAt = performance.now();
    done = progress?.done ?? -1;
    onProgress(Math.max(0, done));
    if (performance.now() - changedAt > idleLimitMs) throw idleFailure(idleLimitMs);
    await delay(pollMs, undefined, { signal });
  }
}

function idleFailure(idleLimitMs: number): PlainFailure {
  return new PlainFailure(
    `Cannot go on as results must come at least every ${describeSeconds(idleLimitMs / 1_000)}: is the app running?`,
  );
}
