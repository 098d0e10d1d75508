import { createAzureBlobContainer } from '../../../shared/storage/azure/azure-blob-container.ts';
import { createBatch, type BatchOptions } from '../../../shared/batch/create-batch.ts';
import type { JobProcessor } from '../../../shared/batch/processing/process-message.ts';
import type { Batch } from '../../../shared/batch/queue-trigger.ts';
import { createAzureJobSender } from '../../../shared/batch/azure-job-queue.ts';
import {
  BACKGROUND_TIMEOUTS,
  type StorageTimeouts,
} from '../../../shared/storage/azure/storage-timeouts.ts';
import { INPUT_CONTAINER, RESULT_CONTAINER } from '../../../shared/batch/storage-names.ts';
import { systemClock } from '../../../shared/clock.ts';
import { noopTelemetry } from '../../../shared/telemetry/create-telemetry.ts';
import { readJob, type JobResults } from './read-job.ts';
import { QUEUE_OWNER } from './jobs.ts';
import { createScriptedAgent, type Script, type ScriptedAgent } from './scripted-agent.ts';

export interface StorageProcessor {
  readonly batch: Batch;
  readonly processor: JobProcessor;
  readonly agent: ScriptedAgent;
  readonly read: (jobId: string, shard?: number) => Promise<JobResults | undefined>;
}

interface StorageProcessorOptions extends Partial<
  Pick<
    BatchOptions,
    | 'sender'
    | 'concurrency'
    | 'itemsPerShard'
    | 'firstPauseMs'
    | 'cancelCheckMs'
    | 'telemetry'
    | 'clock'
    | 'budgets'
  >
> {
  readonly connectionString: string;
  readonly script?: Script;
  readonly tokensPerItem?: number;
  readonly timeouts?: StorageTimeouts;
}

/** Batch as it runs in production, on real storage, with a scripted agent. */
export function storageProcessor({
  connectionString,
  script,
  tokensPerItem,
  telemetry = noopTelemetry,
  clock = systemClock,
  timeouts = BACKGROUND_TIMEOUTS,
  ...rest
}: StorageProcessorOptions): StorageProcessor {
  const connection = { kind: 'connectionString', connectionString } as const;
  const agent = createScriptedAgent(script, tokensPerItem);
  const container = (container: string) =>
    createAzureBlobContainer({ connection, container, telemetry, timeouts: timeouts });
  const results = container(RESULT_CONTAINER);
  const batch = createBatch({
    queueOwner: QUEUE_OWNER,
    concurrency: 4,
    // Callers pass whole worlds, whose own `results` must not win.
    ...rest,
    agent,
    publicModel: 'assistant',
    results,
    inputs: container(INPUT_CONTAINER),
    sender: rest.sender ?? createAzureJobSender(connection),
    instanceConcurrency: 128,
    jobDeadlineMs: 60_000,
    itemDeadlineMs: 60_000,
    clock,
    telemetry,
  });
  return {
    batch,
    agent,
    processor: batch.processor,
    read: (jobId, shard) => readJob(results, jobId, shard),
  };
}
