import type { Agent } from '../../../shared/agent/agent.ts';
import type { Job } from '../../../shared/batch/model/job-message.ts';
import { createConcurrencyLimiters } from '../../../shared/batch/processing/concurrency-limiter.ts';
import {
  createJobProcessor,
  type JobProcessor,
  type ProcessorOptions,
} from '../../../shared/batch/processing/process-message.ts';
import {
  type OwnerBudgets,
  UNLIMITED_BUDGETS,
  withRunningItems,
} from '../../../shared/batch/processing/owner-budget.ts';
import { createMemoryContainer, type MemoryContainer } from './memory-container.ts';
import { createMemoryStore, type MemoryStore } from './memory-store.ts';
import { createRecordedTelemetry, type RecordedTelemetry } from '../recorded-telemetry.ts';
import { QUEUE_OWNER } from './jobs.ts';
import { createScriptedAgent, type Script, type ScriptedAgent } from './scripted-agent.ts';

export interface SentJob {
  readonly job: Job;
  readonly delaySeconds: number;
}

export interface Bench {
  readonly processor: JobProcessor;
  readonly agent: ScriptedAgent;
  readonly store: MemoryStore;
  /** The container of input files. */
  readonly inputs: MemoryContainer;
  readonly sent: SentJob[];
  readonly telemetry: RecordedTelemetry;
  /** What the clock shows; tests move it on. */
  readonly time: { now: number };
}

interface BenchOptions extends Partial<
  Pick<
    ProcessorOptions,
    | 'concurrency'
    | 'jobDeadlineMs'
    | 'itemDeadlineMs'
    | 'sender'
    | 'itemsPerShard'
    | 'cancelCheckMs'
    | 'yieldCheckMs'
    | 'longPassMs'
    | 'queueOwner'
    | 'limiters'
    | 'telemetry'
  >
> {
  readonly script?: Script;
  readonly store?: MemoryStore;
  readonly inputs?: MemoryContainer;
  readonly budgets?: OwnerBudgets;
  /** In place of the scripted agent. */
  readonly runner?: Agent;
}

/** A processor with everything around it in memory. */
export function makeProcessor({
  script,
  store = createMemoryStore(),
  inputs = createMemoryContainer(),
  budgets = UNLIMITED_BUDGETS,
  runner,
  ...rest
}: BenchOptions = {}): Bench {
  const agent = createScriptedAgent(script);
  const telemetry = createRecordedTelemetry();
  const time = { now: Date.parse('2030-01-01T00:00:00Z') };
  const sent: SentJob[] = [];
  const processor = createJobProcessor({
    agent: runner ?? agent,
    publicModel: 'assistant',
    store,
    inputs,
    telemetry,
    limiters: createConcurrencyLimiters({ max: 256 }),
    budgets: withRunningItems(budgets),
    sender: {
      async send(job, { delaySeconds }) {
        sent.push({ job, delaySeconds });
      },
      hasWaiting: async () => false,
    },
    clock: { now: () => time.now },
    agentClock: { now: () => time.now },
    queueOwner: QUEUE_OWNER,
    concurrency: 4,
    jobDeadlineMs: 60_000,
    itemDeadlineMs: 60_000,
    ...rest,
  });
  return { processor, agent, store, inputs, sent, telemetry, time };
}
