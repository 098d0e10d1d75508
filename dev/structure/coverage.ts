import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { z } from 'zod';

/** How often each function was called: file, then function by name and offset, then calls. */
export type Calls = ReadonlyMap<string, ReadonlyMap<string, number>>;

export interface CoverageOptions {
  /** Where the worker writes its reports. */
  readonly folder: string;
  readonly pid: number;
  /** The project; only files of its `shared/` count. */
  readonly root: string;
}

const POLL_MS = 20;
/** A worker that writes no report within this time has ended. */
const REPORT_TIMEOUT_MS = 10_000;
/** A worker that still runs code of `shared/` after this many reports never becomes idle. */
const MAX_REPORTS = 50;

const reportSchema = z.object({
  result: z.array(
    z.object({
      url: z.string(),
      functions: z.array(
        z.object({
          functionName: z.string(),
          ranges: z.array(z.object({ startOffset: z.number(), count: z.number() })).min(1),
        }),
      ),
    }),
  ),
});

/** Reads from a worker which functions it has called since the last read. */
export function createCoverageReader({ folder, pid, root }: CoverageOptions) {
  const seen = new Set<string>();

  async function readReport(): Promise<Calls> {
    process.kill(pid, 'SIGUSR2');
    const deadline = performance.now() + REPORT_TIMEOUT_MS;
    while (performance.now() < deadline) {
      await delay(POLL_MS);
      const names = await readdir(folder).catch(() => []);
      const name = names.find((one) => !seen.has(one));
      const report = name === undefined ? undefined : await readJson(join(folder, name));
      if (name === undefined || report === undefined) continue;
      seen.add(name);
      return parseReport(report, root);
    }
    throw new Error(`Cannot measure as worker ${pid} wrote no report within 10 s`);
  }

  return {
    /** All calls until the worker runs no more code of `shared/`. */
    async readUntilIdle(): Promise<Calls> {
      const calls = new Map<string, Map<string, number>>();
      for (let report = 1; report <= MAX_REPORTS; report += 1) {
        const latest = await readReport();
        if (latest.size === 0) return calls;
        addCalls(calls, latest);
      }
      throw new Error('Cannot measure as the worker keeps running code of shared/');
    },
  };
}

/** The called functions of `shared/` in a report of V8, without module bodies. */
export function parseReport(report: unknown, root: string): Calls {
  const prefix = `${pathToFileURL(root).href}/`;
  const calls = new Map<string, Map<string, number>>();
  for (const { url, functions } of reportSchema.parse(report).result) {
    if (!url.startsWith(`${prefix}shared/`)) continue;
    const called = functions.flatMap(({ functionName, ranges: [range] }) => {
      const isBody = functionName === '' && range?.startOffset === 0;
      if (range === undefined || range.count === 0 || isBody) return [];
      return [[`${functionName}@${range.startOffset}`, range.count] as const];
    });
    if (called.length > 0) calls.set(url.slice(prefix.length), new Map(called));
  }
  return calls;
}

function addCalls(sum: Map<string, Map<string, number>>, more: Calls): void {
  for (const [path, functions] of more) {
    const own = sum.get(path) ?? new Map<string, number>();
    sum.set(path, own);
    for (const [name, count] of functions) own.set(name, (own.get(name) ?? 0) + count);
  }
}

/** Undefined while the worker is still writing. */
async function readJson(path: string): Promise<unknown> {
  const text = await readFile(path, 'utf8');
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
