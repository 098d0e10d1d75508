import { setTimeout as delay } from 'node:timers/promises';
import * as z from 'zod';
import type { StorageQueueHandler } from '@azure/functions';
import { type ServiceError, toServiceError } from '../errors.ts';
import { parseJson } from '../json.ts';
import type { BlobContainer } from '../storage/blob-container.ts';
import type { TextEncryption } from '../storage/text-encryption.ts';
import { describeError, stackFrames } from '../telemetry/describe-error.ts';
import type { Telemetry } from '../telemetry/telemetry.ts';
import { BUSY_DELAY_SECONDS, endConversation, processRun, storeEnd } from './process-run.ts';
import type { ProcessRunOptions } from './run-agent.ts';
import { openRunJournal } from './run-journal.ts';
import type { RunRecord, RunRef } from './run-record.ts';
import { createRunService, type RunService } from './run-service.ts';
import { createRunStore, type RunStore } from './run-store.ts';

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

export interface RunsOptions extends Omit<ProcessRunOptions, 'store' | 'stop' | 'startedAt'> {
  readonly container: BlobContainer;
  /** The same storage with shorter timeouts, for HTTP requests. */
  readonly requestContainer?: BlobContainer | undefined;
  readonly encryption: TextEncryption;
  readonly pollMs?: number | undefined;
}

/** Times in a row that a run is queued again although its message was poison. */
const MAX_POISON_COUNT = 3;
const POISON_DELAY_SECONDS = 10;

export function createRuns(options: RunsOptions): Runs {
  const { container, requestContainer = container, encryption, queue, telemetry } = options;
  const { conversations } = options;
  const clock = { now: () => requestContainer.now() ?? container.now() ?? options.clock.now() };
  const store = createRunStore({ container, encryption });
  const requestStore = createRunStore({ container: requestContainer, encryption });
  const stopping = new AbortController();
  const running = new Set<Promise<void>>();

  function track(message: unknown, startedAt: number): Promise<void> {
    const delivery = processMessage(message, startedAt);
    const settled = delivery.catch(() => undefined).finally(() => running.delete(settled));
    running.add(settled);
    return delivery;
  }
  async function processMessage(message: unknown, startedAt: number): Promise<void> {
    const ref = parseRunMessage(message);
    if (ref === undefined) return telemetry.error('run message rejected');
    const known = telemetry.with({ runId: ref.id });
    const stop = stopping.signal;
    return processRun(ref, { ...options, clock, store, telemetry: known, startedAt, stop });
  }
  return {
    service: createRunService({
      store: requestStore,
      queue,
      clock,
      telemetry,
      conversations,
      pollMs: options.pollMs,
    }),
    async process(message) {
      const startedAt = performance.now();
      const work = (text: unknown): Promise<void> => track(text, startedAt);
      const delivery = work(message);
      const isOver = new AbortController();
      const signal = AbortSignal.any([isOver.signal, stopping.signal]);
      const others = processOthers(options, { work, startedAt, isOver: signal });
      try {
        await delivery;
      } finally {
        isOver.abort();
        await others;
      }
    },
    async handlePoison(message) {
      const ref = parseRunMessage(message);
      const record = ref && (await store.record(ref));
      if (record === undefined) return telemetry.error('run message rejected');
      await handlePoisonedRun(record, { ...options, store, clock });
    },
    async stop() {
      stopping.abort(new Error('The instance is shutting down'));
      await Promise.all(running);
    },
    running: () => running.size,
  };
}

/** Each delivery of the message failed. The run may not be the cause, so it gets a few more. */
async function handlePoisonedRun(
  record: RunRecord,
  {
    store,
    queue,
    clock,
    telemetry,
    conversations,
  }: Pick<RunsOptions, 'queue' | 'clock' | 'telemetry' | 'conversations'> & {
    readonly store: RunStore;
  },
): Promise<void> {
  const { id: runId } = record;
  const journal = await openRunJournal(record, store);
  if (journal === 'busy') return queue.send(record, { delaySeconds: BUSY_DELAY_SECONDS });
  try {
    const { poisonCount } = journal.view;
    if (poisonCount < MAX_POISON_COUNT) {
      await journal.append({ type: 'poisoned' });
      await queue.send(record, { delaySeconds: poisonCount * POISON_DELAY_SECONDS });
      return telemetry.warn('run message requeued', { runId });
    }
  } finally {
    await journal.release();
  }
  telemetry.error('run message poisoned', { runId });
  const reason = 'Each attempt to work on the run failed';
  const end = { kind: 'failed', at: clock.now(), code: 'internal', message: reason } as const;
  const parts = { store, conversations, telemetry };
  await storeEnd(record, { end, options: parts });
  await endConversation(record, { end: (await store.end(record)) ?? end, options: parts });
}

/** Runs that one delivery of the platform works on: they wait for the model most of the time. */
const RUNS_PER_DELIVERY = 8;
const RECEIVE_EVERY_MS = 1_000;
/** A message whose process ended is visible again after this time, soon after the lease ended. */
const HIDDEN_SECONDS = 18;

interface OthersOptions {
  /** Works on the run of a message. */
  readonly work: (message: unknown) => Promise<void>;
  /** When the delivery started: its time limit is that of all its runs. */
  readonly startedAt: number;
  /** Aborts when the run of the delivery itself is over. */
  readonly isOver: AbortSignal;
}

/**
 * While a delivery works on its run, it receives further messages of the queue: the platform gives an
 * instance few messages at once, and a run takes little of an instance. Resolves when these runs are
 * over too. Never rejects.
 */
async function processOthers(
  { queue, telemetry, sliceMs }: Pick<RunsOptions, 'queue' | 'telemetry' | 'sliceMs'>,
  { work, startedAt, isOver }: OthersOptions,
): Promise<void> {
  const others = new Set<Promise<void>>();
  // Later, a run would start no second step in this delivery.
  const lastAt = startedAt + sliceMs / 2;
  while (!isOver.aborted && performance.now() < lastAt) {
    const free = RUNS_PER_DELIVERY - 1 - others.size;
    try {
      const messages = free > 0 ? await queue.receive(free, HIDDEN_SECONDS) : [];
      for (const { text, remove } of messages) {
        // A message whose run fails here becomes visible again.
        const done = work(text).then(remove, (error: unknown) => {
          logFailure(telemetry, toServiceError(error));
        });
        const settled = done.finally(() => others.delete(settled));
        others.add(settled);
      }
      if (messages.length > 0) continue;
    } catch (error) {
      logFailure(telemetry, toServiceError(error));
    }
    await delay(RECEIVE_EVERY_MS, undefined, { signal: isOver }).catch(() => undefined);
  }
  await Promise.all(others);
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
