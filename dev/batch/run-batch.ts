import { access, constants, readFile, realpath, rename, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { ResultLine } from '../../shared/batch/model/item.ts';
import { CliError } from '../cli-error.ts';
import type { BatchOptions } from './batch-options.ts';
import type { BatchService } from './batch-service.ts';
import { waitForResults } from './wait-for-results.ts';
import { createProgress, describeSeconds } from './progress.ts';
import type { ProgressOutput } from './progress.ts';
import { readItems } from './read-items.ts';
import { createRecentRate } from './recent-rate.ts';

export interface RunBatchDependencies {
  readonly service: BatchService;
  readonly output: ProgressOutput;
  readonly signal: AbortSignal;
  /** Called with the id by which the batch can be found again. */
  readonly onSubmitted?: (id: string) => void;
  readonly pollMs?: number;
  readonly idleLimitMs?: number;
}

/** Every item succeeded; some failed and the results say which. Anything else is a CliError. */
export type BatchExitCode = 0 | 2;

/** Submits the lines of a file, waits for their results, and writes them in input order. */
export async function runBatch(
  options: BatchOptions,
  dependencies: RunBatchDependencies,
): Promise<BatchExitCode> {
  const { output, signal } = dependencies;
  const { sent, failures } = readItems(await readInput(options.input));
  const total = sent.length + failures.length;
  if (total === 0) throw new CliError(`Cannot run a batch as ${options.input} must have items`);
  await expectWritable(options);
  output.write(`job ${options.jobId}: ${total} item${total === 1 ? '' : 's'}\n`);

  const startedAt = performance.now();
  const progress = createProgress(output);
  const rate = createRecentRate();
  const results = await waitForResults(sent, {
    ...dependencies,
    jobId: options.jobId,
    onSubmitted(id) {
      dependencies.onSubmitted?.(id);
      if (id !== options.jobId) output.write(`batch ${id}\n`);
    },
    onProgress({ done, failed, note }) {
      const elapsedMs = performance.now() - startedAt;
      progress.show({
        done: done + failures.length,
        failed: failed + failures.length,
        total,
        elapsedMs,
        perSecond: rate.update(done, elapsedMs),
        note,
      });
    },
  }).finally(() => progress.finish());
  signal.throwIfAborted();
  for (const { line, result } of failures) results.set(line, result);
  const ordered = [...results].sort(([a], [b]) => a - b).map(([, result]) => result);
  await writeResults(options.out, ordered);
  const seconds = (performance.now() - startedAt) / 1_000;
  const isAllGood = ordered.every(isSuccess);
  output.write(`${summarize(ordered, seconds)}\n`);
  output.write(`${isAllGood ? 'results' : 'results and errors'} written to ${options.out}\n`);
  return isAllGood ? 0 : 2;
}

/** `25 results: 23 succeeded, 2 failed (content_filtered 1, invalid_item 1) in 4 s`. */
export function summarize(results: readonly ResultLine[], seconds: number): string {
  const failed = results.filter((result) => !isSuccess(result));
  const byCode = Object.groupBy(failed, (result) => result.error?.code ?? 'unknown');
  const codes = Object.entries(byCode).map(([code, lines]) => `${code} ${lines?.length ?? 0}`);
  const reasons = codes.length === 0 ? '' : ` (${codes.toSorted().join(', ')})`;
  const succeeded = results.length - failed.length;
  const counts = `${succeeded} succeeded, ${failed.length} failed${reasons}`;
  return `${results.length} results: ${counts} in ${describeSeconds(seconds)}`;
}

function isSuccess({ error, response }: ResultLine): boolean {
  return error === null && response !== null && response.status_code < 400;
}

async function readInput(path: string): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new CliError(`Cannot read the items of ${path}: ${reason}`, { cause: error });
  }
}

/** Checked before any item costs money: the results need a writable path that is not the input. */
async function expectWritable({ input, out }: BatchOptions): Promise<void> {
  try {
    await access(dirname(out), constants.W_OK);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new CliError(`Cannot write results to ${out}: ${reason}`, { cause: error });
  }
  const there = await realpath(out).catch(() => undefined);
  if (there !== undefined && there === (await realpath(input))) {
    throw new CliError(`Cannot write results to ${out} as it must not be the file of the items`);
  }
}

/** Writes to a temporary file and renames it, so a result file is always complete. */
async function writeResults(path: string, results: readonly ResultLine[]): Promise<void> {
  const lines = results.map((result) => `${JSON.stringify(result)}\n`).join('');
  const staging = `${path}.${process.pid}.new`;
  try {
    await writeFile(staging, lines);
    await rename(staging, path);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new CliError(`Cannot write the results: ${reason}`, { cause: error });
  }
}
