import type { AgentInput, InputSize, RunResult, RunContext } from '../agent/agent.ts';
import { ServiceError } from '../errors.ts';
import { ClientDisconnectedError } from './client-connection.ts';
import type { MeteredContext } from './request-context.ts';
import { estimateTokens } from '../rate-limit/estimate-tokens.ts';
import type { Reservation } from '../rate-limit/rate-limiter.ts';
import { raceAbort } from '../resilience/abort.ts';

/** The scope of one run. It ends when the client disconnects or the deadline passes. */
export interface Run {
  readonly context: RunContext;
  /** The promise's value. Rejects at the end of the scope, even if the work ignores its signal. */
  raceAbort<T>(work: Promise<T>): Promise<T>;
  /** Counts text that was sent to the client. */
  recordOutput(text: string): void;
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
  const size = measure(input);
  const reservation = await context.reserve(estimateTokens(size));
  const meter = createUsageMeter(reservation, size);
  const scope = new AbortController();
  const timer = setTimeout(() => scope.abort(deadlineExceeded()), deadlineMs);
  const signal = AbortSignal.any([context.clientDisconnected, scope.signal]);
  return {
    context: {
      signal,
      deadlineAt: Date.now() + deadlineMs,
      traceparent: context.traceparent,
      telemetry: context.telemetry,
      cache: runCacheOptions(context, meter),
    },
    raceAbort: (work) => raceAbort(work, signal),
    recordOutput: (text) => meter.recordOutput(text),
    finish: ({ usage }) => meter.finish(usage.totalTokens),
    close() {
      clearTimeout(timer);
      meter.settle();
    },
    abort() {
      clearTimeout(timer);
      scope.abort(new ClientDisconnectedError());
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

/** The token usage of one run against its reservation. */
interface UsageMeter {
  /** Counts text that was sent. It is charged even if the run fails later. */
  recordOutput(text: string): void;
  /** Records the usage of a complete run. */
  finish(totalTokens: number): void;
  /** The response came from the cache: nothing is charged. */
  markCached(): void;
  /** Corrects the reservation to the usage. Does not wait for the rate limiter. */
  settle(): void;
}

/** The usual ratio for English text. */
const CHARS_PER_TOKEN = 4;

/** A run that fails before its first output is not charged. */
export function createUsageMeter(reservation: Reservation, size: InputSize): UsageMeter {
  let outputChars = 0;
  let knownTokens: number | undefined;

  function estimateUsage(): number {
    if (outputChars === 0) return 0;
    const inputTokens = estimateTokens({ ...size, maxOutputTokens: 0 });
    return inputTokens + Math.ceil(outputChars / CHARS_PER_TOKEN);
  }
  return {
    recordOutput(text) {
      outputChars += text.length;
    },
    finish(totalTokens) {
      knownTokens ??= totalTokens;
    },
    markCached() {
      knownTokens = 0;
    },
    settle: () => void reservation.settle(knownTokens ?? estimateUsage()),
  };
}
