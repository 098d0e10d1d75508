import type { Agent } from '../agent/agent.ts';
import type { Clock } from '../clock.ts';
import type { Telemetry } from '../telemetry/telemetry.ts';
import { createBatchDesk } from './batch-desk.ts';
import type { BlobArea } from './blob-area.ts';
import { createBlobBatchStore } from './blob-batch-store.ts';
import { explainPoison } from './explain-poison.ts';
import { createFileDesk } from './file-desk.ts';
import type { JobSender } from './job-sender.ts';
import { createPace } from './pace.ts';
import { createJobProcessor } from './process-job.ts';
import type { Batch } from './queue-handler.ts';

export interface BatchOptions {
  readonly agent: Agent;
  readonly inputs: BlobArea;
  readonly results: BlobArea;
  readonly sender: JobSender;
  /** Items of one shard that run at once. */
  readonly concurrency: number;
  /** Items of all shards on this instance that run at once. */
  readonly instanceConcurrency: number;
  readonly jobDeadlineMs: number;
  readonly itemDeadlineMs: number;
  /** The service's own clock. What instances must agree on goes by the time of the storage. */
  readonly clock: Clock;
  readonly telemetry: Telemetry;
  readonly itemsPerShard?: number | undefined;
  readonly firstBlockMs?: number | undefined;
  readonly watchEveryMs?: number | undefined;
}

/** The whole of batch, given where it keeps things and whom it asks. */
export function createBatch(options: BatchOptions): Batch {
  const { inputs, results, sender, telemetry } = options;
  const clock = { now: () => results.now() ?? inputs.now() ?? options.clock.now() };
  const store = createBlobBatchStore({ area: results, clock, telemetry });
  const { instanceConcurrency: max, firstBlockMs } = options;
  const pace = createPace({ max, firstBlockMs });
  return {
    store,
    processor: createJobProcessor({ ...options, clock, agentClock: options.clock, store, pace }),
    desk: createBatchDesk({ store, inputs, sender, clock }),
    files: createFileDesk({ store, inputs, outputs: results, clock }),
    explainPoison: (message) => explainPoison(message, { store, inputs, sender, clock, telemetry }),
  };
}
