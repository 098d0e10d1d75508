import type { StorageQueueHandler, StorageQueueOutput } from '@azure/functions';
import type { BatchService } from './api/batch-service.ts';
import type { FileService } from './api/file-service.ts';
import { toMessageText } from './model/job-message.ts';
import type { ConcurrencyLoad } from './processing/concurrency-limiter.ts';
import type { JobProcessor } from './processing/process-message.ts';
import type { BatchStore } from './storage/batch-store.ts';
import { isRetryable, type ServiceError, toServiceError } from '../errors.ts';
import { describeError, stackFrames } from '../telemetry/describe-error.ts';
import type { Telemetry } from '../telemetry/telemetry.ts';

/** The batch engine. Created for the first message or batch request, never for a chat. */
export interface Batch {
  readonly processor: JobProcessor;
  readonly store: BatchStore;
  readonly batches: BatchService;
  readonly files: FileService;
  /** Model calls of batch items in this process. */
  load(): ConcurrencyLoad;
  /** Handles a message that the platform moved to the poison queue. */
  handlePoison(message: unknown): Promise<void>;
}

/** How long Azure Queue Storage keeps a message by default. */
const MAX_AGE_SECONDS = 604_800;

export interface BatchDependencies {
  readonly telemetry: Telemetry;
  batch(): Promise<Batch>;
}

/** Processes each message of the job queue. */
export function queueHandler(getService: () => Promise<BatchDependencies>): StorageQueueHandler {
  return messageHandler(getService, (message, { processor }) => processor.process(message));
}

/**
 * Wraps the handling of a message as a queue trigger. It rejects on failure, which makes the
 * platform deliver the message again, and logs the reason first.
 */
function messageHandler(
  getService: () => Promise<BatchDependencies>,
  handle: (message: unknown, batch: Batch) => Promise<void>,
): StorageQueueHandler {
  return async (message, { triggerMetadata }) => {
    const service = await getService();
    const { telemetry } = service;
    const age = ageSeconds(triggerMetadata?.['insertionTime'], Date.now());
    if (age !== undefined) telemetry.record('batchMessageAge', age);
    try {
      await handle(message, await service.batch());
    } catch (error) {
      logFailure(telemetry, toServiceError(error));
      throw error;
    }
  };
}

/** The platform's own log line has only the text of the error. */
function logFailure(telemetry: Telemetry, { code, cause }: ServiceError): void {
  const known = { code, cause: describeError(cause) };
  if (code !== 'internal') telemetry.warn('batch delivery failed', known);
  else telemetry.error('batch delivery failed', { ...known, place: stackFrames(cause) });
}

/** Undefined for implausible values: fields of the message can replace the trigger metadata. */
function ageSeconds(insertedAt: unknown, now: number): number | undefined {
  const age = (now - Date.parse(String(insertedAt))) / 1_000;
  return age >= 0 && age <= MAX_AGE_SECONDS ? age : undefined;
}

/**
 * Handles messages of the poison queue. A message that cannot be handled now, because storage is
 * unavailable or the service does not start, is returned as an output of the function: the platform
 * writes it to the job queue without needing our service. A poison queue has no poison queue of its
 * own, so after five failures the message would stay there until it expires, with no record of it.
 */
export function poisonQueueHandler(
  getService: () => Promise<BatchDependencies>,
  jobs: StorageQueueOutput,
): StorageQueueHandler {
  const handle = messageHandler(getService, (message, batch) => batch.handlePoison(message));
  return async (message, context) => {
    try {
      await handle(message, context);
    } catch (error) {
      // A defect would repeat for ever; the poison queue keeps its message.
      if (!isRetryable(toServiceError(error).code)) throw error;
      context.warn('batch poison message requeued');
      context.extraOutputs.set(jobs, toMessageText(message));
    }
  };
}
