import type { Agent } from '../agent/agent.ts';
import type { Clock } from '../clock.ts';
import type { Telemetry } from '../telemetry/telemetry.ts';
import { createBatchService } from './api/batch-service.ts';
import { type CallerQuota, NO_QUOTA } from './api/caller-quota.ts';
import type { BlobContainer } from '../storage/blob-container.ts';
import { createBlobBatchStore } from './storage/batch-store.ts';
import { handlePoisonMessage } from './processing/poison-message.ts';
import { createFileService } from './api/file-service.ts';
import type { JobSender } from './model/job-message.ts';
import { createConcurrencyLimiters } from './processing/concurrency-limiter.ts';
import {
  type OwnerBudgets,
  UNLIMITED_BUDGETS,
  withRunningItems,
} from './processing/owner-budget.ts';
import { createJobProcessor } from './processing/process-message.ts';
import type { Batch } from './queue-trigger.ts';

export type { OwnerBudgets };

/** The blob containers and the queue of the batch engine. */
export interface BatchStorage {
  readonly inputs: BlobContainer;
  readonly results: BlobContainer;
  readonly sender: JobSender;
}

export interface BatchOptions extends BatchStorage {
  readonly agent: Agent;
  /** The model name in responses. */
  readonly publicModel: string;
  /** The same storage with shorter timeouts, for HTTP requests. */
  readonly requestStorage?: BatchStorage;
  /** Items of one shard that run at once. */
  readonly concurrency: number;
  /** Items of all shards of this instance that run at once. */
  readonly instanceConcurrency: number;
  readonly jobDeadlineMs: number;
  readonly itemDeadlineMs: number;
  /** The daily token budgets of batch owners; without them there is no limit. */
  readonly budgets?: OwnerBudgets | undefined;
  /** What one caller may have at once; without it there is no limit. */
  readonly quota?: CallerQuota | undefined;
  /** Caller id that owns queue jobs without an owner. */
  readonly queueOwner?: string | undefined;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
  readonly itemsPerShard?: number | undefined;
  readonly firstPauseMs?: number | undefined;
  readonly cancelCheckMs?: number | undefined;
}

/** Creates the batch engine: queue processing and the services of the HTTP routes. */
export function createBatch(options: BatchOptions): Batch {
  const { inputs, results, sender, telemetry, queueOwner, requestStorage = options } = options;
  const containers = [results, inputs, requestStorage.results, requestStorage.inputs];
  const clock = storageClock(containers, options.clock);
  const store = createBlobBatchStore({ container: results, clock, telemetry });
  const requestStore = createBlobBatchStore({
    container: requestStorage.results,
    clock,
    telemetry,
  });
  const { instanceConcurrency: max, firstPauseMs, quota = NO_QUOTA } = options;
  const limiters = createConcurrencyLimiters({ max, firstPauseMs });
  const processor = createJobProcessor({
    ...options,
    clock,
    agentClock: options.clock,
    store,
    limiters,
    budgets: withRunningItems(options.budgets ?? UNLIMITED_BUDGETS),
  });
  const files = createFileService({
    inputs: requestStorage.inputs,
    outputs: requestStorage.results,
    store: requestStore,
    quota,
    clock,
    telemetry,
  });
  return {
    store: requestStore,
    processor: {
      ...processor,
      async process(message) {
        await processor.process(message);
        await files.removeExpired();
      },
    },
    batches: createBatchService({ ...requestStorage, store: requestStore, quota, clock }),
    files,
    load: () => limiters.load(),
    handlePoison: (message) =>
      handlePoisonMessage(message, { store, inputs, sender, clock, telemetry, queueOwner }),
  };
}

/** The storage server's time once a response has arrived; the process clock before that. */
function storageClock(containers: readonly BlobContainer[], fallback: Clock): Clock {
  return {
    now: () =>
      containers.map((container) => container.now()).find((time) => time !== undefined) ??
      fallback.now(),
  };
}
