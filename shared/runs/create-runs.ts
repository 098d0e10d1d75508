import * as z from 'zod';
import type { StorageQueueHandler } from '@azure/functions';
import { type ServiceError, toServiceError } from '../errors.ts';
import { parseJson } from '../json.ts';
import type { BlobContainer } from '../storage/blob-container.ts';
import type { TextEncryption } from '../storage/text-encryption.ts';
import { describeError, stackFrames } from '../telemetry/describe-error.ts';
import type { Telemetry } from '../telemetry/telemetry.ts';
import { processRun, type ProcessRunOptions, storeEnd } from './process-run.ts';
import type { RunRef } from './run-record.ts';
import { createRunService, type RunService } from './run-service.ts';
import { createRunStore } from './run-store.ts';

/** Stored runs: what the routes do with them, and the processing of their queue. */
export interface Runs {
  readonly service: RunService;
  /** Resolves when the message may be deleted; rejects when it must be delivered again. */
  process(message: unknown): Promise<void>;
  /** Ends a run whose message the platform moved to the poison queue. */
  handlePoison(message: unknown): Promise<void>;
  /** Puts the running runs back on the queue. */
  stop(): Promise<void>;
  /** Runs that this process works on. */
  running(): number;
}

export interface RunsOptions extends Omit<ProcessRunOptions, 'store' | 'stop'> {
  readonly container: BlobContainer;
  /** The same storage with shorter timeouts, for HTTP requests. */
  readonly requestContainer?: BlobContainer | undefined;
  readonly encryption: TextEncryption;
  readonly pollMs?: number | undefined;
}

export function createRuns(options: RunsOptions): Runs {
  const { container, requestContainer = container, encryption, sender, telemetry } = options;
  const clock = { now: () => requestContainer.now() ?? container.now() ?? options.clock.now() };
  const store = createRunStore({ container, encryption });
  const requestStore = createRunStore({ container: requestContainer, encryption });
  const stopping = new AbortController();
  const running = new Set<Promise<void>>();
  return {
    service: createRunService({ store: requestStore, sender, clock, pollMs: options.pollMs }),
    async process(message) {
      const ref = parseRunMessage(message);
      if (ref === undefined) return telemetry.error('run message rejected');
      const delivery = processRun(ref, {
        ...options,
        clock,
        store,
        telemetry: telemetry.with({ runId: ref.id }),
        stop: stopping.signal,
      });
      const settled = delivery.catch(() => undefined).finally(() => running.delete(settled));
      running.add(settled);
      return delivery;
    },
    async handlePoison(message) {
      const ref = parseRunMessage(message);
      const record = ref && (await store.record(ref));
      if (record === undefined) return telemetry.error('run message rejected');
      telemetry.error('run message poisoned', { runId: record.id });
      const reason = 'Each attempt to work on the run failed';
      const end = { kind: 'failed', at: clock.now(), code: 'internal', message: reason } as const;
      await storeEnd(record, { end, options: { ...options, store } });
    },
    async stop() {
      stopping.abort(new Error('The instance is shutting down'));
      await Promise.all(running);
    },
    running: () => running.size,
  };
}

const messageSchema = z.object({
  v: z.literal(1),
  owner: z.string().min(1).max(256),
  runId: z.string().min(1).max(128),
});

/** The text of the queue message of a run. */
export function toRunMessage({ owner, id }: RunRef): string {
  return JSON.stringify({ v: 1, owner, runId: id });
}

/** The platform passes a parsed value if the text was JSON. */
function parseRunMessage(message: unknown): RunRef | undefined {
  const value = typeof message === 'string' ? parseJson(message) : message;
  const { success, data } = messageSchema.safeParse(value);
  return success ? { owner: data.owner, id: data.runId } : undefined;
}

export interface RunsDependencies {
  readonly telemetry: Telemetry;
  /** @throws ServiceError config_unavailable without a storage account */
  runs(): Promise<Runs>;
}

/** Processes each message of the queue of runs. */
export function runQueueHandler(getService: () => Promise<RunsDependencies>): StorageQueueHandler {
  return messageHandler(getService, (runs, message) => runs.process(message));
}

/** Handles each message of the poison queue of runs. */
export function runPoisonHandler(getService: () => Promise<RunsDependencies>): StorageQueueHandler {
  return messageHandler(getService, (runs, message) => runs.handlePoison(message));
}

/** It rejects on failure, which makes the platform deliver the message again, and logs the reason. */
function messageHandler(
  getService: () => Promise<RunsDependencies>,
  handle: (runs: Runs, message: unknown) => Promise<void>,
): StorageQueueHandler {
  return async (message) => {
    const service = await getService();
    try {
      await handle(await service.runs(), message);
    } catch (error) {
      logFailure(service.telemetry, toServiceError(error));
      throw error;
    }
  };
}

function logFailure(telemetry: Telemetry, { code, cause }: ServiceError): void {
  const known = { code, cause: describeError(cause) };
  if (code !== 'internal') telemetry.warn('run delivery failed', known);
  else telemetry.error('run delivery failed', { ...known, place: stackFrames(cause) });
}
