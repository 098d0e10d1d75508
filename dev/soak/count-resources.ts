import { EventEmitter } from 'node:events';
import { appendFileSync } from 'node:fs';
import { queryObjects } from 'node:v8';

/**
 * Loaded into the worker with `--import`. Appends the resources of the process to a file, as one
 * line of JSON each time. Counting the objects collects garbage first, so the heap after it holds
 * only what is in use.
 */
const EVERY_MS = 5_000;
const file = process.env['SOAK_COUNTS_FILE'];
if (file !== undefined) setInterval(() => report(file), EVERY_MS).unref();

function report(path: string): void {
  const active = process.getActiveResourcesInfo();
  const abortSignals = queryObjects(AbortSignal, { format: 'count' });
  const emitters = queryObjects(EventEmitter, { format: 'count' });
  const { heapUsed, rss } = process.memoryUsage();
  const counts = {
    timers: active.filter((name) => name === 'Timeout').length,
    resources: active.length,
    listeners: listenersOfProcess(),
    abortSignals,
    emitters,
    heapMb: heapUsed / 1_048_576,
    rssMb: rss / 1_048_576,
  };
  appendFileSync(path, `${JSON.stringify(counts)}\n`);
}

function listenersOfProcess(): number {
  return process.eventNames().reduce((sum, name) => sum + process.listenerCount(name), 0);
}
