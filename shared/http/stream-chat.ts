import type { AgentEvent } from '../agent/agent.ts';
import type { ChatRequest } from '../agent/chat-request.ts';
import { ServiceError, toServiceError } from '../errors.ts';
import type { ChatNeeds } from './answer-chat.ts';
import { openTurn, type Turn } from './deadline.ts';
import type { Exchange } from './exchange.ts';
import { toProblem } from './problem.ts';
import { reportFailure } from './report-failure.ts';
import type { PlainResponse } from './respond.ts';
import { discard, orSilence, sseResponse, type SseEvent } from './sse.ts';

/**
 * A chat as server-sent events. A failure before the first event is answered with its own status.
 * Only when the model takes longer than a heartbeat does the stream begin without it, so that
 * nothing in between hangs up.
 */
export async function streamChat(
  exchange: Exchange,
  { request, needs }: { request: ChatRequest; needs: ChatNeeds },
): Promise<PlainResponse> {
  const { heartbeatMs, streamDeadlineMs } = needs.chatLimits;
  const turn = openTurn(exchange, streamDeadlineMs);
  try {
    const events = needs.agent.stream(request, turn.context)[Symbol.asyncIterator]();
    const first = turn.within(events.next());
    const begun = await orSilence(first, heartbeatMs);
    if (begun !== 'silence' && begun.done === true) throw interrupted();
    return respond(exchange, { turn, events, first, heartbeatMs });
  } catch (error) {
    turn.close();
    throw error;
  }
}

interface StartedTurn {
  readonly turn: Turn;
  readonly events: AsyncIterator<AgentEvent>;
  readonly first: Promise<IteratorResult<AgentEvent>>;
}

function respond(
  exchange: Exchange,
  { heartbeatMs, ...started }: StartedTurn & { heartbeatMs: number },
): PlainResponse {
  const { requestId, telemetry, connection, clientLeft } = exchange;
  const { turn, events } = started;
  const startedAt = performance.now();
  let outcome = 'done';
  return sseResponse(chatEvents(requestId, started), {
    heartbeatMs,
    connection,
    signal: turn.context.signal,
    toLastEvent(thrown) {
      const error = toServiceError(thrown);
      outcome = clientLeft.aborted ? 'client left' : error.code;
      if (clientLeft.aborted) return undefined;
      reportFailure(telemetry, { message: 'stream failed', error });
      return { event: 'error', data: toProblem(error, requestId) };
    },
    onEnd(how) {
      if (how === 'cancelled') {
        outcome = 'client left';
        turn.abandon();
      }
      turn.close();
      discard(events);
      const durationMs = Math.round(performance.now() - startedAt);
      telemetry.info('stream ended', { outcome, durationMs });
    },
  });
}

/** Ends with exactly one `done`, or throws. */
async function* chatEvents(
  requestId: string,
  { turn, events, first }: StartedTurn,
): AsyncGenerator<SseEvent, void, void> {
  yield { event: 'session', data: { requestId } };
  for (let step = await first; step.done !== true; step = await turn.within(events.next())) {
    yield toSseEvent(step.value, requestId);
    if (step.value.type === 'done') return;
  }
  throw interrupted();
}

function toSseEvent(event: AgentEvent, requestId: string): SseEvent {
  if (event.type === 'delta') return { event: 'delta', data: { text: event.text } };
  const { response: _text, ...rest } = event.reply;
  return { event: 'done', data: { ...rest, requestId } };
}

function interrupted(): ServiceError {
  return new ServiceError('upstream_interrupted', 'The model stopped in the middle of its answer');
}
