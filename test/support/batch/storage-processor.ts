import { createBlobResultStore } from '../../../shared/batch/blob-result-store.ts';
import {
  createJobProcessor,
  type JobProcessor,
  type ProcessorOptions,
} from '../../../shared/batch/process-job.ts';
import { createQueueJobSender } from '../../../shared/batch/queue-job-sender.ts';
import type { ResultStore } from '../../../shared/batch/result-store.ts';
import { systemClock } from '../../../shared/clock.ts';
import { silentTelemetry } from '../../../shared/telemetry/silent-telemetry.ts';
import { createScriptedAgent, type Script, type ScriptedAgent } from './scripted-agent.ts';

export interface StorageProcessor {
  readonly processor: JobProcessor;
  readonly agent: ScriptedAgent;
  readonly store: ResultStore;
}

interface StorageProcessorOptions extends Partial<
  Pick<ProcessorOptions, 'sender' | 'concurrency'>
> {
  readonly connectionString: string;
  readonly script?: Script;
}

/** A processor as it runs in production, on real storage, with a scripted agent. */
export function storageProcessor({
  connectionString,
  script,
  ...rest
}: StorageProcessorOptions): StorageProcessor {
  const connection = { kind: 'connectionString', connectionString } as const;
  const agent = createScriptedAgent(script);
  const store = createBlobResultStore({
    connection,
    clock: systemClock,
    telemetry: silentTelemetry,
  });
  const processor = createJobProcessor({
    agent,
    store,
    sender: createQueueJobSender(connection),
    concurrency: 4,
    jobDeadlineMs: 60_000,
    itemDeadlineMs: 60_000,
    clock: systemClock,
    telemetry: silentTelemetry,
    ...rest,
  });
  return { processor, agent, store };
}
