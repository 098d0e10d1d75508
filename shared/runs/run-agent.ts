import type { Agent, AgentInput, Message, RunContext } from '../agent/agent.ts';
import { createEffectScope, type EffectScope } from '../agent/step-journal.ts';
import type { Clock } from '../clock.ts';
import { type ErrorCode, isRetryable, ServiceError, toServiceError } from '../errors.ts';
import { raceAbort } from '../resilience/abort.ts';
import type { AuditTrail } from '../telemetry/audit.ts';
import { describeError } from '../telemetry/describe-error.ts';
import { newTraceparent } from '../telemetry/spans.ts';
import type { Telemetry } from '../telemetry/telemetry.ts';
import { createRunRecorder, type RunJournal, type RunRecorder } from './run-journal.ts';
import { inputOf, type JournalView, type RunEnd, type RunRecord } from './run-record.ts';
import type { RunQueue, RunStore } from './run-store.ts';

/** The tokens that were reserved for one delivery of a run. */
export interface BudgetedRun {
  readonly hooks: Pick<RunContext, 'reserveStep' | 'onStepEnd' | 'onPartialUsage'>;
  /** Corrects the reservation to the usage. */
  settle(): Promise<void>;
}

/** The conversations and sessions that runs have while they go on. */
export interface RunConversations {
  /** What a run gets of its conversation. */
  contextOf(record: RunRecord): Promise<Partial<RunContext>>;
  /** Half of a history that is too long for the model. */
  shorten(history: readonly Message[]): readonly Message[];
  /**
   * Adds what came of a run to its conversation, and frees it. Called after the end of the run is
   * stored, once or more often: only the first call has an effect.
   */
  end(record: RunRecord, history: EndedRun): Promise<void>;
}

/** A run with its end. */
export interface EndedRun extends Pick<JournalView, 'events' | 'steps'> {
  readonly end: RunEnd;
}

export interface ProcessRunOptions {
  readonly store: RunStore;
  readonly queue: RunQueue;
  readonly agent: Agent;
  /** @throws ServiceError budget_exhausted */
  readonly reserve: (owner: string, input: AgentInput) => Promise<BudgetedRun>;
  /** The conversations and sessions of runs; undefined where runs have none. */
  readonly conversations?: RunConversations | undefined;
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
/** Failed attempts at one step, throttled ones not counted. */
const MAX_ATTEMPTS = 3;
/** The run is not over, and this delivery is. */
class SliceEndedError extends Error {
  constructor() {
    super('The delivery has worked on the run for long enough');
    this.name = 'SliceEndedError';
  }
}

export type DeliveryOutcome =
  | { readonly kind: 'ended'; readonly end: RunEnd }
  | { readonly kind: 'requeue'; readonly delaySeconds: number }
  /** The run is cancelled, or another delivery works on it. */
  | { readonly kind: 'given-up' };

export interface OpenRun {
  readonly record: RunRecord;
  readonly journal: RunJournal;
  readonly audit: AuditTrail;
}

export function runTooLong(maxRunMs: number): ServiceError {
  const minutes = Math.round(maxRunMs / 60_000);
  return new ServiceError('upstream_timeout', `The run did not end within ${minutes} minutes`);
}

export function failed(clock: Clock, { code, message }: ServiceError): DeliveryOutcome {
  return { kind: 'ended', end: { kind: 'failed', at: clock.now(), code, message } };
}

interface RunAgentOptions extends ProcessRunOptions {
  /** The rest of the time that the run may take. */
  readonly leftMs: number;
}

/** Runs the agent until the run has its end, or this delivery is over. */
export async function runAgent(run: OpenRun, options: RunAgentOptions): Promise<DeliveryOutcome> {
  const { record, journal, audit } = run;
  const { agent, clock, flushMs = FLUSH_MS } = options;
  const { isStreamed } = record;
  const recorder = createRunRecorder({ journal, isStreamed, flushMs });
  const scope = openScope(run, { ...options, recorder });
  let budget: BudgetedRun | undefined;
  try {
    const { conversations } = options;
    const isShortened = journal.view.isTooLong && conversations !== undefined;
    const input = inputOf(
      record,
      isShortened ? (history) => conversations.shorten(history) : undefined,
    );
    const own =
      record.conversationId === undefined ? undefined : await conversations?.contextOf(record);
    budget = await options.reserve(record.owner, input);
    const { reserveStep, onStepEnd } = budget.hooks;
    let steps = 0;
    const context: RunContext = {
      ...own,
      ...budget.hooks,
      signal: scope.signal,
      effectSignal: scope.effectSignal,
      deadlineAt: Date.now() + Math.min(deliveryLeftMs(options), options.leftMs),
      traceparent: newTraceparent(),
      isBackground: true,
      telemetry: options.telemetry,
      async reserveStep(size) {
        const isOver = performance.now() >= options.startedAt + options.sliceMs;
        if (isOver && steps > 0) throw new SliceEndedError();
        await reserveStep?.(size);
      },
      onStepEnd(usage) {
        steps += 1;
        options.telemetry.count('backgroundSteps', 1);
        onStepEnd?.(usage);
      },
      onDecision: (decision) => audit.addDecision(decision),
      journal: scope.journal,
    };
    const events = agent.stream(input, context)[Symbol.asyncIterator]();
    for (;;) {
      const next = raceAbort(events.next(), scope.effectSignal);
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

interface RunScope extends Omit<EffectScope, 'stop'> {
  /** The run has an end that another process stored. */
  readonly ended: AbortSignal;
}

function openScope(
  { record, journal }: OpenRun,
  options: RunAgentOptions & { readonly recorder: RunRecorder },
): RunScope {
  const { store, leftMs, maxRunMs, cancelCheckMs = CANCEL_CHECK_MS, recorder } = options;
  const deliveryMs = deliveryLeftMs(options);
  const ended = new AbortController();
  const effects = createEffectScope(recorder.steps);
  const stops = AbortSignal.any([ended.signal, journal.lostSignal, options.stop]);
  const onStop = (): void => effects.stop(stops.reason);
  stops.addEventListener('abort', onStop, { once: true });
  if (stops.aborted) onStop();
  const timer = setTimeout(
    () => effects.stop(leftMs <= deliveryMs ? runTooLong(maxRunMs) : stepTooLong()),
    Math.min(deliveryMs, leftMs),
  );
  async function check(): Promise<void> {
    const state = await store.state(record);
    if (state === undefined || state.hasEnd) ended.abort(new Error('The run has ended'));
  }
  // A check that fails is repeated by the next one.
  const checks = setInterval(() => void check().catch(() => undefined), cancelCheckMs);
  return {
    ...effects,
    ended: ended.signal,
    close() {
      clearTimeout(timer);
      clearInterval(checks);
      stops.removeEventListener('abort', onStop);
      effects.close();
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
  if (isHistoryTooLong(code, run)) {
    await journal.append({ type: 'attempt', code });
    return { kind: 'requeue', delaySeconds: 0 };
  }
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

/** A run that is too long for the model is repeated once with less history. */
function isHistoryTooLong(code: ErrorCode, { record, journal: { view } }: OpenRun): boolean {
  const hasHistory = (record.history?.length ?? 0) > 0;
  return code === 'context_too_long' && hasHistory && !view.isTooLong && view.steps.length === 0;
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
