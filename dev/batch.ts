import { readBatchOptions, readReplayOptions, type BatchOptions } from './batch/batch-options.ts';
import { UnavailableError, type BatchService } from './batch/batch-service.ts';
import { openStorage } from './batch/find-storage.ts';
import { createHttpService } from './batch/http-service.ts';
import { createQueueService } from './batch/queue-service.ts';
import { replay } from './batch/replay.ts';
import { runBatch } from './batch/run-batch.ts';
import { ServiceError } from '../shared/errors.ts';
import { prepareProxyVariables } from '../shared/model/proxy.ts';
import { describeError } from '../shared/telemetry/describe-error.ts';
import { CliError } from './cli-error.ts';
import { PROJECT_ROOT } from './project-root.ts';

process.exitCode = await main();
// Requests that are still open must not delay the exit.
if (process.exitCode === 1) process.exit();

/** `npm run batch`: exits with 0 if every item succeeded, 2 if some failed, 1 if the run failed. */
async function main(): Promise<number> {
  prepareProxyVariables(process.env);
  const interrupt = new AbortController();
  let resumable: string | undefined;
  let isSubmitted = false;
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => interrupt.abort());
  }
  try {
    const replayed = readReplayOptions(process.argv.slice(2));
    if (replayed !== undefined) {
      const { name, account } = replayed;
      await replay({ connection: await connect(account), name, output: process.stdout });
      return 0;
    }
    const options = readBatchOptions(process.argv.slice(2));
    const service = await openService(options);
    // Over the queue the job id is the batch id; over HTTP the app assigns it.
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
  return createQueueService(await connect(options.account));
}

function connect(account: string | undefined) {
  return openStorage({ root: PROJECT_ROOT, environment: process.env, account });
}

interface FailedRun {
  readonly interrupted: boolean;
  /** The id to pass to --job, once there is one. */
  readonly resumable: string | undefined;
  readonly isSubmitted: boolean;
}

function describe(error: unknown, { interrupted, resumable, isSubmitted }: FailedRun): string {
  const again = `the same command with --job ${resumable} picks it up`;
  // A CliError says what to do; after any other error a submitted batch goes on.
  const goesOn = isSubmitted && (error instanceof UnavailableError || !(error instanceof CliError));
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
