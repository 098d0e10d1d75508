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

/** The parts of batch. They are made for the first message or request, not for a chat. */
export interface Batch {
  readonly processor: JobProcessor;
  readonly store: BatchStore;
  readonly desk: BatchService;
  readonly files: FileService;
  /** What batch asks of the model at this moment. */
  load(): ConcurrencyLoad;
  /** Takes a message that the platform gave up. */
  explainPoison(message: unknown): Promise<void>;
}

/** As long as a queue keeps a message by default. */
const MAX_AGE_SECONDS = 604_800;

export interface BatchDependencies {
  readonly telemetry: Telemetry;
  batch(): Promise<Batch>;
}

/** The handler of the queue of jobs. */
export function queueHandler(getService: () => Promise<BatchDependencies>): StorageQueueHandler {
  return messageHandler(getService, (message, { processor }) => processor.process(message));
}

/**
 * Turns a message handler into a handler of the platform. It rejects on purpose after it logged the
 * failure: the platform then delivers the message again.
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

/** The platform only says that a delivery failed, in the words of whoever threw. */
function logFailure(telemetry: Telemetry, { code, cause }: ServiceError): void {
  const known = { code, cause: describeError(cause) };
  if (code !== 'internal') telemetry.warn('batch delivery failed', known);
  else telemetry.error('batch delivery failed', { ...known, place: stackFrames(cause) });
}

/** How long the message has waited. The message itself can take the place of what the queue says. */
function ageSeconds(insertedAt: unknown, now: number): number | undefined {
  const age = (now - Date.parse(String(insertedAt))) / 1_000;
  return age >= 0 && age <= MAX_AGE_SECONDS ? age : undefined;
}

/**
 * Explains messages that the platform gave up. One that cannot be explained now, because storage is
 * away or the service does not start, is handed back as an output of the function: the platform
 * puts it on the queue of jobs again, and needs nothing of ours for it. A poison queue has no poison
 * queue of its own: after five failures a message would stay there until it is gone, without a word.
 */
export function poisonQueueHandler(
  getService: () => Promise<BatchDependencies>,
  jobs: StorageQueueOutput,
): StorageQueueHandler {
  const explain = messageHandler(getService, (message, batch) => batch.explainPoison(message));
  return async (message, context) => {
    try {
      await explain(message, context);
    } catch (error) {
      // A defect would go round for ever; there the platform keeps the message.
      if (!isRetryable(toServiceError(error).code)) throw error;
      context.warn('batch message put back unexplained');
      context.extraOutputs.set(jobs, toMessageText(message));
    }
  };
}
