import type { Agent } from '../agent/agent.ts';
import type { Clock } from '../clock.ts';
import type { Telemetry } from '../telemetry/telemetry.ts';
import { createBatchService } from './api/batch-service.ts';
import type { BlobContainer } from '../storage/blob-container.ts';
import { createBlobBatchStore } from './storage/batch-store.ts';
import { handlePoisonMessage } from './processing/poison-message.ts';
import { createFileService } from './api/file-service.ts';
import type { JobSender } from './model/job-message.ts';
import { createConcurrencyLimiter } from './processing/concurrency-limiter.ts';
import { createJobProcessor } from './processing/process-message.ts';
import type { Batch } from './queue-trigger.ts';

/** Where batch keeps things, and the queue of its jobs. */
export interface BatchStorage {
  readonly inputs: BlobContainer;
  readonly results: BlobContainer;
  readonly sender: JobSender;
}

export interface BatchOptions extends BatchStorage {
  readonly agent: Agent;
  /** The name that clients know the agent by. */
  readonly publicModel: string;
  /** The same storage for those who wait for an answer; gives up sooner. */
  readonly forRequests?: BatchStorage;
  /** Items of one shard that run at once. */
  readonly concurrency: number;
  /** Items of all shards on this instance that run at once. */
  readonly instanceConcurrency: number;
  readonly jobDeadlineMs: number;
  readonly itemDeadlineMs: number;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
  readonly itemsPerShard?: number | undefined;
  readonly firstBlockMs?: number | undefined;
  readonly watchEveryMs?: number | undefined;
}

/** The whole of batch, given where it keeps things and whom it asks. */
export function createBatch(options: BatchOptions): Batch {
  const { inputs, results, sender, telemetry, forRequests = options } = options;
  const clock = clockOf([results, inputs, forRequests.results, forRequests.inputs], options.clock);
  const store = createBlobBatchStore({ area: results, clock, telemetry });
  const requestStore = createBlobBatchStore({ area: forRequests.results, clock, telemetry });
  const { instanceConcurrency: max, firstBlockMs } = options;
  const pace = createConcurrencyLimiter({ max, firstBlockMs });
  return {
    store: requestStore,
    processor: createJobProcessor({ ...options, clock, agentClock: options.clock, store, pace }),
    desk: createBatchService({ ...forRequests, store: requestStore, clock }),
    files: createFileService({
      inputs: forRequests.inputs,
      outputs: forRequests.results,
      store: requestStore,
      clock,
    }),
    load: () => pace.load(),
    explainPoison: (message) =>
      handlePoisonMessage(message, { store, inputs, sender, clock, telemetry }),
  };
}

/** The time of the storage as soon as one of its parts has told it. */
function clockOf(areas: readonly BlobContainer[], own: Clock): Clock {
  return {
    now: () => areas.map((area) => area.now()).find((time) => time !== undefined) ?? own.now(),
  };
}
