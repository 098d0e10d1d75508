import type { AgentEvent, Question, Reply } from '../agent/agent.ts';
import { ServiceError, toServiceError } from '../errors.ts';
import type { ChatNeeds } from './chat-needs.ts';
import { openTurn, type Turn } from './run-scope.ts';
import type { MeteredExchange } from './request-context.ts';
import { toProblem, type Problem } from '../protocols/problem-details.ts';
import { reportFailure } from './report-failure.ts';
import type { PlainResponse } from './responses.ts';
import { discard, orSilence, sseResponse, type SseEvent } from './sse.ts';

/** How one family of clients wants a stream to be written. */
export interface StreamDialect {
  begin(): readonly SseEvent[];
  delta(text: string): readonly SseEvent[];
  end(reply: Reply): readonly SseEvent[];
  fail(problem: Problem): SseEvent;
}

/**
 * A chat as server-sent events. A failure before the first event is answered with its own status.
 * Only when the model takes longer than a heartbeat does the stream begin without it, so that
 * nothing in between hangs up.
 */
export async function streamChat(
  exchange: MeteredExchange,
  { request, needs, dialect = nativeDialect(exchange.requestId) }: StreamOptions,
): Promise<PlainResponse> {
  const { heartbeatMs, streamDeadlineMs: deadlineMs } = needs.chatLimits;
  const { measure } = needs;
  const turn = await openTurn(exchange, { question: request, deadlineMs, measure });
  try {
    const events = needs.agent.stream(request, turn.context)[Symbol.asyncIterator]();
    const first = turn.within(events.next());
    const begun = await orSilence(first, heartbeatMs);
    if (begun !== 'silence' && begun.done === true) throw interrupted();
    return respond(exchange, { turn, events, first, dialect, heartbeatMs });
  } catch (error) {
    turn.close();
    throw error;
  }
}

interface StreamOptions {
  readonly request: Question;
  readonly needs: ChatNeeds;
  readonly dialect?: StreamDialect;
}

interface StartedTurn {
  readonly dialect: StreamDialect;
  readonly turn: Turn;
  readonly events: AsyncIterator<AgentEvent>;
  readonly first: Promise<IteratorResult<AgentEvent>>;
}

function respond(
  exchange: MeteredExchange,
  { heartbeatMs, ...started }: StartedTurn & { heartbeatMs: number },
): PlainResponse {
  const { requestId, telemetry, connection, clientLeft } = exchange;
  const { turn, events } = started;
  const startedAt = performance.now();
  const end = exchange.streams();
  let outcome = 'done';
  let code: string | undefined;
  return sseResponse(chatEvents(started), {
    heartbeatMs,
    connection,
    signal: turn.context.signal,
    toLastEvent(thrown) {
      const error = toServiceError(thrown);
      outcome = clientLeft.aborted ? 'client left' : error.code;
      code = clientLeft.aborted ? 'client_left' : error.code;
      if (clientLeft.aborted) return undefined;
      reportFailure(telemetry, { message: 'stream failed', error });
      return started.dialect.fail(toProblem(error, requestId));
    },
    onEnd(how) {
      if (how === 'cancelled') {
        outcome = 'client left';
        code = 'client_left';
        turn.abandon();
      }
      turn.close();
      discard(events);
      const durationMs = Math.round(performance.now() - startedAt);
      telemetry.info('stream ended', { outcome, durationMs });
      end(code);
    },
  });
}

/** Ends with exactly one end, or throws. */
async function* chatEvents({
  turn,
  events,
  first,
  dialect,
}: StartedTurn): AsyncGenerator<SseEvent, void, void> {
  yield* dialect.begin();
  for (let step = await first; step.done !== true; step = await turn.within(events.next())) {
    if (step.value.type === 'done') {
      turn.finish(step.value.reply);
      return yield* dialect.end(step.value.reply);
    }
    turn.passOn(step.value.text);
    yield* dialect.delta(step.value.text);
  }
  throw interrupted();
}

/** The events of POST /api/chat. */
function nativeDialect(requestId: string): StreamDialect {
  return {
    begin: () => [{ event: 'session', data: { requestId } }],
    delta: (text) => [{ event: 'delta', data: { text } }],
    end({ response: _text, ...rest }) {
      return [{ event: 'done', data: { ...rest, requestId } }];
    },
    fail: (problem) => ({ event: 'error', data: problem }),
  };
}

function interrupted(): ServiceError {
  return new ServiceError('upstream_interrupted', 'The model stopped in the middle of its answer');
}
