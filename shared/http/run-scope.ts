import type { AgentInput, InputSize, RunResult, RunContext } from '../agent/agent.ts';
import { ServiceError } from '../errors.ts';
import { ClientDisconnectedError } from './client-connection.ts';
import type { MeteredContext } from './request-context.ts';
import { estimateTokens } from '../rate-limit/estimate-tokens.ts';
import type { Reservation } from '../rate-limit/rate-limiter.ts';

/** The frame of one turn: it ends when the client leaves or when the time is up. */
export interface Run {
  readonly context: RunContext;
  /** The promise's value, or the end of the turn: even work that ignores its signal is not awaited. */
  within<T>(work: Promise<T>): Promise<T>;
  /** Notes text that went out. */
  passOn(text: string): void;
  /** Notes the whole answer. */
  finish(reply: RunResult): void;
  /** Stops the clock and settles what was used. To be called however the turn ends. */
  close(): void;
  /** Stops the clock and the work: nobody wants the rest. */
  abandon(): void;
}

export interface RunOptions {
  readonly question: AgentInput;
  readonly deadlineMs: number;
  readonly measure: (question: AgentInput) => InputSize;
}

/**
 * Begins a turn, which is the only way to ask the agent: its tokens are taken here.
 * @throws ServiceError rate_limited, budget_exhausted or context_too_long
 */
export async function startRun(
  exchange: MeteredContext,
  { question, deadlineMs, measure }: RunOptions,
): Promise<Run> {
  const size = measure(question);
  const reservation = await exchange.reserve(estimateTokens(size));
  const account = createUsageMeter(reservation, size);
  const over = new AbortController();
  const timer = setTimeout(() => over.abort(deadlineExceeded()), deadlineMs);
  const signal = AbortSignal.any([exchange.clientLeft, over.signal]);
  return {
    context: {
      signal,
      deadlineAt: Date.now() + deadlineMs,
      traceparent: exchange.traceparent,
      telemetry: exchange.telemetry,
      cache: runCacheOptions(exchange, account),
    },
    within: (work) => raceAbort(work, signal),
    passOn: (text) => account.passOn(text),
    finish: ({ usage }) => account.finish(usage.totalTokens),
    close() {
      clearTimeout(timer);
      account.settle();
    },
    abandon() {
      clearTimeout(timer);
      over.abort(new ClientDisconnectedError());
    },
  };
}

function runCacheOptions(exchange: MeteredContext, account: UsageMeter): RunContext['cache'] {
  return {
    scope: exchange.callerId,
    control: exchange.header('cache-control'),
    onStatus({ header, isFound }) {
      exchange.addHeaders({ 'cache-status': header });
      if (isFound) account.isFree();
    },
  };
}

async function raceAbort<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = Promise.withResolvers<never>();
  const stop = (): void => aborted.reject(signal.reason);
  signal.addEventListener('abort', stop);
  if (signal.aborted) stop();
  try {
    return await Promise.race([work, aborted.promise]);
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

function deadlineExceeded(): ServiceError {
  return new ServiceError(
    'upstream_timeout',
    'The model did not answer within the time for a whole answer',
  );
}

/** What one turn has used of the tokens that were reserved for it. */
export interface UsageMeter {
  /** Text went out: it is paid for whatever becomes of the rest. */
  passOn(text: string): void;
  /** The answer is whole, and this is what it cost. */
  finish(totalTokens: number): void;
  /** The answer is somebody else's expense. */
  isFree(): void;
  /** Puts what was used in the place of what was reserved. Nobody waits for it. */
  settle(): void;
}

/** The usual ratio for English text. */
const CHARS_PER_TOKEN = 4;

/** A turn that failed before its first word costs nothing. */
export function createUsageMeter(reservation: Reservation, size: InputSize): UsageMeter {
  let passedOnChars = 0;
  let known: number | undefined;

  function usedSoFar(): number {
    if (passedOnChars === 0) return 0;
    const input = estimateTokens({ ...size, maxOutputTokens: 0 });
    return input + Math.ceil(passedOnChars / CHARS_PER_TOKEN);
  }
  return {
    passOn(text) {
      passedOnChars += text.length;
    },
    finish(totalTokens) {
      known ??= totalTokens;
    },
    isFree() {
      known = 0;
    },
    settle: () => void reservation.settle(known ?? usedSoFar()),
  };
}
