import { z } from 'zod';
import { createAzureBlobContainer } from '../../shared/storage/azure/azure-blob-container.ts';
import { DEAD_LETTER_FOLDER } from '../../shared/batch/storage/batch-store.ts';
import { parseJob } from '../../shared/batch/model/job-message.ts';
import { createAzureJobSender } from '../../shared/batch/azure-job-queue.ts';
import { RESULT_CONTAINER } from '../../shared/batch/storage-names.ts';
import type { StorageConnection } from '../../shared/storage/azure/storage-timeouts.ts';
import { noopTelemetry } from '../../shared/telemetry/create-telemetry.ts';
import { CliError } from '../cli-error.ts';
import type { ProgressOutput } from './progress.ts';

const letterSchema = z.object({ reason: z.string(), at: z.string(), message: z.string() });

export interface ReplayOptions {
  readonly connection: StorageConnection;
  /** The dead letter to requeue; without it all of them are listed. */
  readonly name: string | undefined;
  readonly output: ProgressOutput;
}

/** Lists the dead letters, or puts one of them back on the queue. */
export async function replay({ connection, name, output }: ReplayOptions): Promise<void> {
  const results = createAzureBlobContainer({
    connection,
    container: RESULT_CONTAINER,
    telemetry: noopTelemetry,
  });
  if (name === undefined) {
    let count = 0;
    for await (const { name: blob } of results.list(DEAD_LETTER_FOLDER)) {
      const letter = letterSchema.parse(JSON.parse((await results.read(blob))?.text ?? ''));
      output.write(`${blob.slice(DEAD_LETTER_FOLDER.length)}  ${letter.reason}\n`);
      count += 1;
    }
    output.write(`${count} dead letter${count === 1 ? '' : 's'}\n`);
    return;
  }
  const found = await results.read(`${DEAD_LETTER_FOLDER}${name}`);
  if (found === undefined) throw new CliError(`Cannot replay as there is no letter ${name}`);
  const { message } = letterSchema.parse(JSON.parse(found.text));
  const parsed = parseJob(messageOf(message));
  if (!parsed.ok) throw new CliError(`Cannot replay as it would fail again: ${parsed.reason}`);
  await createAzureJobSender(connection).send(parsed.job, { delaySeconds: 0 });
  await results.remove(`${DEAD_LETTER_FOLDER}${name}`);
  output.write(`job ${parsed.job.jobId} is on the queue again\n`);
}

/** The original message. A very long one was truncated, so it is not valid JSON. */
function messageOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
