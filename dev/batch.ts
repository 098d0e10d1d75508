import { readBatchOptions, type BatchOptions } from './batch/batch-options.ts';
import type { BatchService } from './batch/batch-service.ts';
import { findStorage } from './batch/find-storage.ts';
import { createHttpService } from './batch/http-service.ts';
import { createQueueService } from './batch/queue-service.ts';
import { replay } from './batch/replay.ts';
import { runBatch } from './batch/run-batch.ts';
import { ServiceError } from '../shared/errors.ts';
import { describeCause } from '../shared/telemetry/describe-cause.ts';
import { PlainFailure } from './plain-failure.ts';
import { PROJECT_ROOT } from './project-root.ts';

process.exitCode = await main();

/** `npm run batch`: 0 when every item succeeded, 2 when some failed, 1 when the run itself did. */
async function main(): Promise<number> {
  const interrupt = new AbortController();
  let jobId: string | undefined;
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => interrupt.abort());
  }
  try {
    const [command, name] = process.argv.slice(2);
    if (command === 'replay') {
      const connectionString = await findStorage(PROJECT_ROOT, process.env);
      await replay({ connectionString, name, output: process.stdout });
      return 0;
    }
    const options = readBatchOptions(process.argv.slice(2));
    jobId = options.jobId;
    const service = await openService(options);
    return await runBatch(options, { service, output: process.stdout, signal: interrupt.signal });
  } catch (error) {
    process.stderr.write(`${describe(error, { interrupted: interrupt.signal.aborted, jobId })}\n`);
    return 1;
  }
}

async function openService(options: BatchOptions): Promise<BatchService> {
  const { url } = options;
  if (url !== undefined) return createHttpService({ ...options, url });
  return createQueueService(await findStorage(PROJECT_ROOT, process.env));
}

function describe(
  error: unknown,
  state: { readonly interrupted: boolean; readonly jobId: string | undefined },
): string {
  if (state.interrupted) {
    return `Interrupted: the job goes on; the same command with --job ${state.jobId} picks it up`;
  }
  if (error instanceof PlainFailure) return error.message;
  const message = error instanceof Error ? error.message : String(error);
  if (message === 'fetch failed') return 'Cannot reach the app at --url: is it running?';
  if (error instanceof ServiceError) return `${message} (${describeCause(error.cause)})`;
  return `Cannot run the batch: ${message.split('\n')[0]}`;
}
