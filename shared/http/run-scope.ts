import type { Question, Reply, TurnContext } from '../agent/agent.ts';
import type { QuestionSize } from '../agent/measure-question.ts';
import { ServiceError } from '../errors.ts';
import { estimateTokens } from '../rate-limit/estimate-tokens.ts';
import { ClientLeftError } from './client-connection.ts';
import type { MeteredExchange } from './request-context.ts';
import { openTokenAccount, type TokenAccount } from './token-account.ts';

/** The frame of one turn: it ends when the client leaves or when the time is up. */
export interface Turn {
  readonly context: TurnContext;
  /** The promise's value, or the end of the turn: even work that ignores its signal is not awaited. */
  within<T>(work: Promise<T>): Promise<T>;
  /** Notes text that went out. */
  passOn(text: string): void;
  /** Notes the whole answer. */
  finish(reply: Reply): void;
  /** Stops the clock and settles what was used. To be called however the turn ends. */
  close(): void;
  /** Stops the clock and the work: nobody wants the rest. */
  abandon(): void;
}

export interface TurnOptions {
  readonly question: Question;
  readonly deadlineMs: number;
  readonly measure: (question: Question) => QuestionSize;
}

/**
 * Begins a turn, which is the only way to ask the agent: its tokens are taken here.
 * @throws ServiceError rate_limited, budget_exhausted or context_too_long
 */
export async function openTurn(
  exchange: MeteredExchange,
  { question, deadlineMs, measure }: TurnOptions,
): Promise<Turn> {
  const size = measure(question);
  const reservation = await exchange.reserve(estimateTokens(size));
  const account = openTokenAccount(reservation, size);
  const over = new AbortController();
  const timer = setTimeout(() => over.abort(tooLate()), deadlineMs);
  const signal = AbortSignal.any([exchange.clientLeft, over.signal]);
  return {
    context: {
      signal,
      deadlineAt: Date.now() + deadlineMs,
      traceparent: exchange.traceparent,
      telemetry: exchange.telemetry,
      cache: turnCache(exchange, account),
    },
    within: (work) => untilAborted(work, signal),
    passOn: (text) => account.passOn(text),
    finish: ({ usage }) => account.finish(usage.totalTokens),
    close() {
      clearTimeout(timer);
      account.settle();
    },
    abandon() {
      clearTimeout(timer);
      over.abort(new ClientLeftError());
    },
  };
}

function turnCache(exchange: MeteredExchange, account: TokenAccount): TurnContext['cache'] {
  return {
    scope: exchange.callerId,
    control: exchange.header('cache-control'),
    onStatus({ header, isFound }) {
      exchange.addHeaders({ 'cache-status': header });
      if (isFound) account.isFree();
    },
  };
}

async function untilAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
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

function tooLate(): ServiceError {
  return new ServiceError(
    'upstream_timeout',
    'The model did not answer within the time for a whole answer',
  );
}
