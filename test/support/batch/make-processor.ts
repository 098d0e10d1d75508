import type { Job } from '../../../shared/batch/job.ts';
import {
  createJobProcessor,
  type JobProcessor,
  type ProcessorOptions,
} from '../../../shared/batch/process-job.ts';
import { createMemoryStore, type MemoryStore } from './memory-store.ts';
import { createRecordedTelemetry, type RecordedTelemetry } from './recorded-telemetry.ts';
import { createScriptedAgent, type Script, type ScriptedAgent } from './scripted-agent.ts';

export interface SentJob {
  readonly job: Job;
  readonly delaySeconds: number;
}

export interface Bench {
  readonly processor: JobProcessor;
  readonly agent: ScriptedAgent;
  readonly store: MemoryStore;
  readonly sent: SentJob[];
  readonly telemetry: RecordedTelemetry;
  /** What the clock shows; tests move it on. */
  readonly time: { now: number };
}

interface BenchOptions extends Partial<
  Pick<ProcessorOptions, 'concurrency' | 'jobDeadlineMs' | 'itemDeadlineMs' | 'sender'>
> {
  readonly script?: Script;
  readonly store?: MemoryStore;
}

/** A processor with everything around it in memory. */
export function makeProcessor({
  script,
  store = createMemoryStore(),
  ...rest
}: BenchOptions = {}): Bench {
  const agent = createScriptedAgent(script);
  const telemetry = createRecordedTelemetry();
  const time = { now: Date.parse('2030-01-01T00:00:00Z') };
  const sent: SentJob[] = [];
  const processor = createJobProcessor({
    agent,
    store,
    telemetry,
    sender: {
      async send(job, { delaySeconds }) {
        sent.push({ job, delaySeconds });
      },
    },
    clock: { now: () => time.now },
    concurrency: 4,
    jobDeadlineMs: 60_000,
    itemDeadlineMs: 60_000,
    ...rest,
  });
  return { processor, agent, store, sent, telemetry, time };
}
