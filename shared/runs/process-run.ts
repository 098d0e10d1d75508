import type { Agent, RunCheckpoints, RunContext } from '../agent/agent.ts';
import type { Clock } from '../clock.ts';
import { type ErrorCode, isRetryable, ServiceError, toServiceError } from '../errors.ts';
import { raceAbort } from '../resilience/abort.ts';
import { type AuditTrail, createAuditTrail } from '../telemetry/audit.ts';
import { describeError } from '../telemetry/describe-error.ts';
import { newTraceparent } from '../telemetry/spans.ts';
import type { Telemetry } from '../telemetry/telemetry.ts';
import {
  createRunRecorder,
  openRunJournal,
  type RunJournal,
  type RunRecorder,
} from './run-journal.ts';
import { inputOf, type RunEnd, type RunRecord, type RunRef, writeRunAudit } from './run-record.ts';
import type { RunQueue, RunStore } from './run-store.ts';

/** The tokens that were reserved for one delivery of a run. */
export interface BudgetedRun {
  readonly hooks: Pick<RunContext, 'reserveStep' | 'onStepEnd' | 'onPartialUsage'>;
  /** Corrects the reservation to the usage. */
  settle(): Promise<void>;
}

export interface ProcessRunOptions {
  readonly store: RunStore;
  readonly queue: RunQueue;
  readonly agent: Agent;
  /** @throws ServiceError budget_exhausted */
  readonly reserve: (owner: string, input: ReturnType<typeof inputOf>) => Promise<BudgetedRun>;
  /** Called once with the end of a run, before it is stored. */
  readonly onEnd?: ((record: RunRecord, end: RunEnd) => Promise<void>) | undefined;
  readonly clock: Clock;
  readonly telemetry: Telemetry;
  /** The longest time from the first step to the end. */
  readonly maxRunMs: number;
  /** After this time a delivery starts no more steps and puts the run back on the queue. */
  readonly sliceMs: number;
  /** The time in which a delivery must have ended: below the platform's limit. */
  readonly deliveryMs: number;
  readonly cancelCheckMs?: number | undefined;
  readonly flushMs?: number | undefined;
  /** When the delivery started, as a value of `performance.now()`. */
  readonly startedAt: number;
  /** Aborts when the instance shuts down. */
  readonly stop: AbortSignal;
}

/** Cancelling takes at most this time and that of one storage call. */
const CANCEL_CHECK_MS = 750;
/** A client that follows a run reads text with this delay, and a journal takes 50,000 writes. */
const FLUSH_MS = 250;
/** Deliveries in a row that may end without a word. */
const MAX_CRASHES = 6;
/** Failed attempts at one step, throttled ones not counted. */
const MAX_ATTEMPTS = 3;
/** The lease of a crashed process ends within 15 s. */
export const BUSY_DELAY_SECONDS = 16;

/** The run is not over, and this delivery is. */
class SliceEndedError extends Error {
  constructor() {
    super('The delivery has worked on the run for long enough');
    this.name = 'SliceEndedError';
  }
}

/**
 * Processes one delivery of a run. When it resolves the message may be deleted: the run has its end,
 * or it is queued again. When it rejects the message must be delivered again.
 */
export async function processRun(ref: RunRef, options: ProcessRunOptions): Promise<void> {
  const { store, queue, telemetry } = options;
  const record = await store.record(ref);
  // A run that is deleted has no record.
  if (record === undefined || (await store.end(ref)) !== undefined) return;
  const journal = await openRunJournal(ref, store);
  if (journal === 'busy') {
    // Not dropped: the holder may have crashed, and this may be the last message of the run.
    await queue.send(ref, { delaySeconds: BUSY_DELAY_SECONDS });
    return;
  }
  const audit = createAuditTrail(record.owner);
  let outcome: DeliveryOutcome;
  try {
    outcome = await processDelivery({ record, journal, audit }, options);
    if (outcome.kind === 'ended') {
      await storeEnd(record, { end: outcome.end, options });
      writeRunAudit(record, { end: outcome.end, audit, telemetry });
    }
  } finally {
    await journal.release();
  }
  if (outcome.kind === 'requeue') {
    await queue.send(ref, { delaySeconds: outcome.delaySeconds });
    telemetry.info('run requeued', { delaySeconds: outcome.delaySeconds });
  }
  if ((await store.end(ref))?.kind === 'deleted') await store.remove(ref, { keepsEnd: false });
}

interface EndOptions {
  readonly end: RunEnd;
  readonly options: Pick<ProcessRunOptions, 'store' | 'onEnd' | 'telemetry'>;
}

/** Stores the end of a run, unless it has one: a run that was cancelled stays cancelled. */
export async function storeEnd(record: RunRecord, { end, options }: EndOptions): Promise<void> {
  const { store, onEnd, telemetry } = options;
  if ((await store.end(record)) !== undefined) return;
  await onEnd?.(record, end);
  if (await store.finish(record, end)) telemetry.info('run ended', { outcome: end.kind });
}

type DeliveryOutcome =
  | { readonly kind: 'ended'; readonly end: RunEnd }
  | { readonly kind: 'requeue'; readonly delaySeconds: number }
  /** The run is cancelled, or another delivery works on it. */
  | { readonly kind: 'given-up' };

interface OpenRun {
  readonly record: RunRecord;
  readonly journal: RunJournal;
  readonly audit: AuditTrail;
}

async function processDelivery(run: OpenRun, options: ProcessRunOptions): Promise<DeliveryOutcome> {
  const { journal } = run;
  const { clock, maxRunMs } = options;
  const { crashes, startedAt = clock.now() } = journal.view;
  if (crashes >= MAX_CRASHES) {
    return failed(
      clock,
      new ServiceError('internal', `The run ended ${crashes} processes in a row`),
    );
  }
  const leftMs = startedAt + maxRunMs - clock.now();
  if (leftMs <= 0) return failed(clock, runTooLong(maxRunMs));
  await journal.append({ type: 'opened', at: clock.now() });
  return runAgent(run, { ...options, leftMs });
}

function runTooLong(maxRunMs: number): ServiceError {
  const minutes = Math.round(maxRunMs / 60_000);
  return new ServiceError('upstream_timeout', `The run did not end within ${minutes} minutes`);
}

function failed(clock: Clock, { code, message }: ServiceError): DeliveryOutcome {
  return { kind: 'ended', end: { kind: 'failed', at: clock.now(), code, message } };
}

interface RunAgentOptions extends ProcessRunOptions {
  /** The rest of the time that the run may take. */
  readonly leftMs: number;
}

async function runAgent(run: OpenRun, options: RunAgentOptions): Promise<DeliveryOutcome> {
  const { record, journal, audit } = run;
  const { agent, clock, flushMs = FLUSH_MS } = options;
  const { isStreamed } = record;
  const recorder = createRunRecorder({ journal, isStreamed, flushMs });
  const scope = openScope(run, options);
  let budget: BudgetedRun | undefined;
  try {
    const input = inputOf(record);
    budget = await options.reserve(record.owner, input);
    const context: RunContext = {
      signal: scope.signal,
      deadlineAt: Date.now() + Math.min(deliveryLeftMs(options), options.leftMs),
      traceparent: newTraceparent(),
      isBackground: true,
      telemetry: options.telemetry,
      ...budget.hooks,
      onDecision: (decision) => audit.addDecision(decision),
      checkpoints: checkpointsOf(run, { recorder, options }),
    };
    const events = agent.stream(input, context)[Symbol.asyncIterator]();
    for (;;) {
      const next = raceAbort(events.next(), scope.signal);
      const { done, value } = await Promise.race([next, recorder.failed]);
      if (done === true) throw interrupted();
      if (value.type !== 'done') recorder.add(value);
      else {
        await recorder.flush();
        return { kind: 'ended', end: { kind: 'done', at: clock.now(), result: value.result } };
      }
    }
  } catch (thrown) {
    return await afterFailure(thrown, { run, recorder, scope, options });
  } finally {
    recorder.close();
    scope.close();
    void budget?.settle();
  }
}

function interrupted(): ServiceError {
  return new ServiceError('upstream_interrupted', 'The model stopped in the middle of its answer');
}

interface CheckpointOptions {
  readonly recorder: RunRecorder;
  readonly options: ProcessRunOptions;
}

function checkpointsOf(
  { journal }: OpenRun,
  { recorder, options }: CheckpointOptions,
): RunCheckpoints {
  const sliceEndsAt = options.startedAt + options.sliceMs;
  return {
    last: journal.view.checkpoint,
    async save(checkpoint, kind) {
      await recorder.checkpoint(checkpoint);
      if (kind === 'step' && performance.now() >= sliceEndsAt) throw new SliceEndedError();
    },
  };
}

interface RunScope {
  readonly signal: AbortSignal;
  /** The run has an end that another process stored. */
  readonly ended: AbortSignal;
  close(): void;
}

function openScope({ record, journal }: OpenRun, options: RunAgentOptions): RunScope {
  const { store, leftMs, maxRunMs, cancelCheckMs = CANCEL_CHECK_MS } = options;
  const deliveryMs = deliveryLeftMs(options);
  const ended = new AbortController();
  const deadline = new AbortController();
  const timer = setTimeout(
    () => deadline.abort(leftMs <= deliveryMs ? runTooLong(maxRunMs) : stepTooLong()),
    Math.min(deliveryMs, leftMs),
  );
  async function check(): Promise<void> {
    const state = await store.state(record);
    if (state === undefined || state.hasEnd) ended.abort(new Error('The run has ended'));
  }
  // A check that fails is repeated by the next one.
  const checks = setInterval(() => void check().catch(() => undefined), cancelCheckMs);
  return {
    signal: AbortSignal.any([ended.signal, deadline.signal, journal.lostSignal, options.stop]),
    ended: ended.signal,
    close() {
      clearTimeout(timer);
      clearInterval(checks);
    },
  };
}

function deliveryLeftMs({ startedAt, deliveryMs }: ProcessRunOptions): number {
  return Math.max(0, startedAt + deliveryMs - performance.now());
}

function stepTooLong(): ServiceError {
  return new ServiceError('upstream_timeout', 'One step of the run took too long');
}

interface FailureContext {
  readonly run: OpenRun;
  readonly recorder: RunRecorder;
  readonly scope: RunScope;
  readonly options: ProcessRunOptions;
}

/** @throws where storage failed: the platform then delivers the message again */
async function afterFailure(thrown: unknown, context: FailureContext): Promise<DeliveryOutcome> {
  const { run, recorder, scope, options } = context;
  const { journal } = run;
  if (scope.ended.aborted || journal.lostSignal.aborted) return { kind: 'given-up' };
  if (options.stop.aborted || thrown instanceof SliceEndedError) {
    await journal.append({ type: 'closed' });
    return { kind: 'requeue', delaySeconds: 0 };
  }
  const error = toServiceError(thrown);
  const { code, cause, retryAfterSeconds } = error;
  if (code === 'storage_unavailable') throw error;
  options.telemetry.warn('run failed', { code, cause: describeError(cause) });
  const { attempts } = journal.view;
  const mayRetry = isThrottle(code) || (isRetryable(code) && attempts + 1 < MAX_ATTEMPTS);
  // What clients have read of the step stands, so a failure then ends the run as it ends a stream.
  if (!mayRetry || recorder.isTextShown()) {
    await recorder.flush();
    return failed(options.clock, error);
  }
  await journal.append(isThrottle(code) ? { type: 'closed' } : { type: 'attempt', code });
  const delaySeconds = Math.min(retryAfterSeconds ?? 2 ** (attempts + 1), 60);
  return { kind: 'requeue', delaySeconds };
}

/** The model serves nothing at the moment; the run waits for it as long as it may take. */
function isThrottle(code: ErrorCode): boolean {
  return (
    code === 'upstream_rate_limited' ||
    code === 'overloaded' ||
    code === 'rate_limited' ||
    code === 'config_unavailable' ||
    code === 'upstream_unavailable'
  );
}
