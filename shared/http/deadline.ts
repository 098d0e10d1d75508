import type { TurnContext } from '../agent/agent.ts';
import { ServiceError } from '../errors.ts';
import type { Exchange } from './exchange.ts';

/** The frame of one turn: it ends when the client leaves or when the time is up. */
export interface Turn {
  readonly context: TurnContext;
  /** Stops the clock. To be called however the turn ends. */
  close(): void;
}

export function openTurn(exchange: Exchange, deadlineMs: number): Turn {
  const timeIsUp = new AbortController();
  const timer = setTimeout(() => timeIsUp.abort(tooLate()), deadlineMs);
  return {
    context: {
      signal: AbortSignal.any([exchange.clientLeft, timeIsUp.signal]),
      deadlineAt: Date.now() + deadlineMs,
      traceparent: exchange.traceparent,
      telemetry: exchange.telemetry,
    },
    close: () => clearTimeout(timer),
  };
}

function tooLate(): ServiceError {
  return new ServiceError(
    'upstream_timeout',
    'The model did not answer within the time for a whole answer',
  );
}
