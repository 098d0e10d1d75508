import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import * as z from 'zod';

export const reportSchema = z.object({ liveBytes: z.number(), longestTurnMs: z.number() });

/**
 * What a worker says about itself: the bytes that objects and buffers hold after a garbage
 * collection, and the longest turn of its event loop since the last report, in ms of processor time.
 */
export type WorkerReport = z.infer<typeof reportSchema>;

const SCRIPT = pathToFileURL(`${import.meta.dirname}/worker-report-preload.ts`).href;
const LINE = /worker report (\{.*\})/;
const REPORTED_WITHIN_MS = 10_000;

/** The setting that lets a worker report. */
export const WORKER_REPORTS: Readonly<Record<string, string>> = {
  languageWorkers__node__arguments: `--expose-gc --import ${SCRIPT}`,
};

/** The report in a text of the log, if there is one. */
export function readReport(text: string): WorkerReport | undefined {
  const [, json] = LINE.exec(text) ?? [];
  return json === undefined ? undefined : reportSchema.parse(JSON.parse(json));
}

/**
 * Requests a report and waits for it in the log. Undefined on Windows, which has no such signal.
 * @throws Error if the worker does not report
 */
export async function requestReport(
  pid: number | undefined,
  log: readonly string[],
): Promise<WorkerReport | undefined> {
  if (pid === undefined || process.platform === 'win32') return undefined;
  const before = log.length;
  process.kill(pid, 'SIGUSR2');
  for (const endAt = performance.now() + REPORTED_WITHIN_MS; performance.now() < endAt;) {
    const report = readReport(log.slice(before).join('\n'));
    if (report !== undefined) return report;
    await sleep(10);
  }
  throw new Error('The worker has not reported');
}
