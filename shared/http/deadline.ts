import type { TurnContext } from '../agent/agent.ts';
import { ServiceError } from '../errors.ts';
import { ClientLeftError } from './connections.ts';
import type { Exchange } from './exchange.ts';

/** The frame of one turn: it ends when the client leaves or when the time is up. */
export interface Turn {
  readonly context: TurnContext;
  /** The promise's value, or the end of the turn: even work that ignores its signal is not awaited. */
  within<T>(work: Promise<T>): Promise<T>;
  /** Stops the clock. To be called however the turn ends. */
  close(): void;
  /** Stops the clock and the work: nobody wants the rest. */
  abandon(): void;
}

export function openTurn(exchange: Exchange, deadlineMs: number): Turn {
  const over = new AbortController();
  const timer = setTimeout(() => over.abort(tooLate()), deadlineMs);
  const signal = AbortSignal.any([exchange.clientLeft, over.signal]);
  return {
    context: {
      signal,
      deadlineAt: Date.now() + deadlineMs,
      traceparent: exchange.traceparent,
      telemetry: exchange.telemetry,
    },
    within: (work) => untilAborted(work, signal),
    close: () => clearTimeout(timer),
    abandon() {
      clearTimeout(timer);
      over.abort(new ClientLeftError());
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
