import { createRequire } from 'node:module';
import type { StorageQueueHandler, StorageQueueOutput } from '@azure/functions';
import type { BatchService } from './api/batch-service.ts';
import type { FileService } from './api/file-service.ts';
import { toMessageText } from './model/job-message.ts';
import type { ConcurrencyLoad } from './processing/concurrency-limiter.ts';
import type { JobProcessor } from './processing/process-message.ts';
import type { BatchStore } from './storage/batch-store.ts';
import { isRetryable, toServiceError, type ServiceError } from '../errors.ts';
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

/** The package through which the worker of the platform and the Functions library meet. */
const CORE_PACKAGE = '@azure/functions-core';
/** What the platform itself says of a queue message, in its spelling. */
const PLATFORM_FIELDS = new Set([
  'DequeueCount',
  'ExpirationTime',
  'Id',
  'InsertionTime',
  'NextVisibleTime',
  'PopReceipt',
]);

/** The part of the worker's API that is used here. */
interface CoreApi {
  getProgrammingModel(): { getInvocationModel(context: unknown): unknown } | undefined;
}

/**
 * Removes the fields of queue messages from the trigger metadata before the Functions library
 * converts them. The platform copies the whole message there. The library walks through it
 * recursively, so a message that is nested some thousand levels deep overflows the stack before any
 * handler runs, at each delivery and in the poison queue too.
 *
 * Call it after the library registered itself, such as after `app.setup`.
 */
export function dropMessageFromTriggerMetadata(core: CoreApi | undefined = loadCoreApi()): void {
  const model = core?.getProgrammingModel();
  if (model === undefined) return;
  const original = model.getInvocationModel.bind(model);
  model.getInvocationModel = (context) => {
    const metadata = queueTriggerMetadata(context);
    for (const name of Object.keys(metadata)) {
      if (!PLATFORM_FIELDS.has(name)) Reflect.deleteProperty(metadata, name);
    }
    return original(context);
  };
}

/** Undefined outside of the platform and the local host, such as in a test of a trigger. */
function loadCoreApi(): CoreApi | undefined {
  try {
    return createRequire(import.meta.url)(CORE_PACKAGE);
  } catch {
    return undefined;
  }
}

/** The metadata of an invocation by a queue; empty for any other invocation. */
function queueTriggerMetadata(context: unknown): object {
  const metadata = fieldOf(fieldOf(context, 'request'), 'triggerMetadata');
  const isQueue = fieldOf(metadata, 'QueueTrigger') !== undefined;
  return isQueue && typeof metadata === 'object' && metadata !== null ? metadata : {};
}

function fieldOf(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined;
}
