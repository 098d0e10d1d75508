import { readBatchOptions, type BatchOptions } from './batch/batch-options.ts';
import { AwayError, type BatchService } from './batch/batch-service.ts';
import { findStorage } from './batch/find-storage.ts';
import { createHttpService } from './batch/http-service.ts';
import { createQueueService } from './batch/queue-service.ts';
import { replay } from './batch/replay.ts';
import { runBatch } from './batch/run-batch.ts';
import { ServiceError } from '../shared/errors.ts';
import { describeError } from '../shared/telemetry/describe-error.ts';
import { CliError } from './cli-error.ts';
import { PROJECT_ROOT } from './project-root.ts';

process.exitCode = await main();
// Whoever presses Ctrl-C does not wait for answers that are still on their way.
if (process.exitCode === 1) process.exit();

/** `npm run batch`: 0 when every item succeeded, 2 when some failed, 1 when the run itself did. */
async function main(): Promise<number> {
  const interrupt = new AbortController();
  let resumable: string | undefined;
  let isSubmitted = false;
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
    const service = await openService(options);
    // On the queue the same job has one effect; over HTTP the app gives the id.
    if (options.url === undefined || options.resumes) resumable = options.jobId;
    return await runBatch(options, {
      service,
      output: process.stdout,
      signal: interrupt.signal,
      onSubmitted(id) {
        resumable = id;
        isSubmitted = true;
      },
    });
  } catch (error) {
    const interrupted = interrupt.signal.aborted;
    process.stderr.write(`${describe(error, { interrupted, resumable, isSubmitted })}\n`);
    return 1;
  }
}

async function openService(options: BatchOptions): Promise<BatchService> {
  const { url } = options;
  if (url !== undefined) return createHttpService({ ...options, url });
  return createQueueService(await findStorage(PROJECT_ROOT, process.env));
}

interface Ending {
  readonly interrupted: boolean;
  /** By what the batch is found again, once it was handed over. */
  readonly resumable: string | undefined;
  readonly isSubmitted: boolean;
}

function describe(error: unknown, { interrupted, resumable, isSubmitted }: Ending): string {
  const again = `the same command with --job ${resumable} picks it up`;
  // A plain failure says itself what to do; after everything else the batch goes on.
  const goesOn = isSubmitted && (error instanceof AwayError || !(error instanceof CliError));
  if (!interrupted) return `${messageOf(error)}${goesOn ? `; ${again}` : ''}`;
  if (resumable !== undefined) return `Interrupted: the job goes on; ${again}`;
  return 'Interrupted before the app had taken the batch';
}

function messageOf(error: unknown): string {
  if (error instanceof CliError) return error.message;
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof ServiceError) return `${message} (${describeError(error.cause)})`;
  return `Cannot run the batch: ${message.split('\n')[0]}`;
}
