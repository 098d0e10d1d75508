import type { AgentEvent, AgentInput, InputSize, RunContext, RunResult } from '../agent/agent.ts';
import { ServiceError } from '../errors.ts';
import { ClientDisconnectedError } from './client-connection.ts';
import type { MeteredContext } from './request-context.ts';
import { createUsageMeter, reserveTokens, type UsageMeter } from '../rate-limit/reservation.ts';
import { createAbortRace, linkController } from '../resilience/abort.ts';

/** The scope of one run. It ends when the client disconnects or the deadline passes. */
export interface Run {
  readonly context: RunContext;
  /** The promise's value. Rejects at the end of the scope, even if the work ignores its signal. */
  raceAbort<T>(work: Promise<T>): Promise<T>;
  /** Records the usage of the whole run. */
  finish(result: RunResult): void;
  /** Clears the timer and settles the reservation. Call it however the run ends. */
  close(): void;
  /** Clears the timer and aborts the run because the client does not want the rest. */
  abort(): void;
}

interface RunOptions {
  readonly input: AgentInput;
  readonly deadlineMs: number;
  readonly measure: (input: AgentInput) => InputSize;
}

/**
 * Starts a run after it reserved the tokens that the run may use. No route runs the agent otherwise.
 * @throws ServiceError rate_limited, budget_exhausted or context_too_long
 */
export async function startRun(
  context: MeteredContext,
  { input, deadlineMs, measure }: RunOptions,
): Promise<Run> {
  const { audit } = context;
  const size = measure(input);
  const meter = createUsageMeter(await reserveTokens(size, (tokens) => context.reserve(tokens)));
  const { controller, unlink } = linkController(context.clientDisconnected);
  const { signal } = controller;
  const timer = setTimeout(() => controller.abort(deadlineExceeded()), deadlineMs);
  return {
    context: {
      signal,
      deadlineAt: Date.now() + deadlineMs,
      traceparent: context.traceparent,
      telemetry: context.telemetry,
      cache: runCacheOptions(context, meter),
      async reserveStep(step) {
        meter.addStep(await reserveTokens(step, (tokens) => context.reserveMore(tokens)));
      },
      onStepEnd(usage) {
        meter.addUsage(usage);
        audit.addUsage(usage);
      },
      onPartialUsage(usage) {
        meter.addPartialUsage(usage);
        audit.addUsage(usage);
      },
      onDecision: (decision) => audit.addDecision(decision),
    },
    raceAbort: createAbortRace(signal),
    finish(result) {
      meter.finish(result.usage);
      audit.addResult(result);
    },
    close() {
      clearTimeout(timer);
      unlink();
      void meter.settle();
    },
    abort() {
      clearTimeout(timer);
      controller.abort(new ClientDisconnectedError());
    },
  };
}

function runCacheOptions(context: MeteredContext, meter: UsageMeter): RunContext['cache'] {
  return {
    scope: context.callerId,
    control: context.header('cache-control'),
    onStatus({ header, isHit }) {
      context.addHeaders({ 'cache-status': header });
      if (isHit) meter.markCached();
    },
  };
}

function deadlineExceeded(): ServiceError {
  return new ServiceError(
    'upstream_timeout',
    'The model did not answer within the time for a whole answer',
  );
}

/** Observes the run of one request. */
export interface RunRecorder {
  /** What the recorder adds to the context of the run. */
  readonly context?: Partial<RunContext>;
  /** Awaited before the first event of a stream is sent. Never rejects. */
  ready?(): Promise<void>;
  event(event: Exclude<AgentEvent, { type: 'done' }>): void;
  /** Awaited before the last events of a stream that fails. Never rejects. */
  fail?(thrown: unknown): Promise<void>;
  /** Called once with the end of the run, and awaited before the client sees the end. */
  end(end: RunOutcome): Promise<void>;
}

export type RunOutcome =
  | { readonly kind: 'done'; readonly result: RunResult }
  | { readonly kind: 'failed'; readonly error: ServiceError }
  /** The client disconnected. */
  | { readonly kind: 'cancelled' };
