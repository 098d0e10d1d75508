import type { HttpResponseInit } from '@azure/functions';
import type { Agent, AgentEvent } from '../agent/agent.ts';
import { parseChatRequest, type ChatRequest } from '../agent/chat-request.ts';
import { toServiceError } from '../errors.ts';
import { describeCause } from '../telemetry/describe-cause.ts';
import { openTurn, type Turn } from './deadline.ts';
import type { Exchange, PipelineNeeds } from './exchange.ts';
import { toProblem } from './problem.ts';
import { jsonResponse } from './respond.ts';
import { orSilence, sseResponse, type SseEvent } from './sse.ts';

export interface ChatNeeds extends PipelineNeeds {
  readonly agent: Agent;
  readonly chatLimits: {
    readonly answerDeadlineMs: number;
    readonly streamDeadlineMs: number;
    readonly heartbeatMs: number;
  };
}

/** POST /api/chat: one message, answered as JSON or as a stream of events. */
export async function answerChat(exchange: Exchange, needs: ChatNeeds): Promise<HttpResponseInit> {
  const request = parseChatRequest(await exchange.readJson());
  if (wantsStream(exchange, request)) return streamChat(exchange, { request, needs });
  const turn = openTurn(exchange, needs.chatLimits.answerDeadlineMs);
  try {
    const reply = await needs.agent.answer(request, turn.context);
    return jsonResponse({ ...reply, requestId: exchange.requestId });
  } finally {
    turn.close();
  }
}

function wantsStream(exchange: Exchange, request: ChatRequest): boolean {
  if (request.stream !== undefined) return request.stream;
  return (exchange.header('accept') ?? '').toLowerCase().includes('text/event-stream');
}

/**
 * A failure before the first event is answered with its own status. Only when the model takes
 * longer than a heartbeat does the stream begin without it, so that nothing in between hangs up.
 */
async function streamChat(
  exchange: Exchange,
  { request, needs }: { request: ChatRequest; needs: ChatNeeds },
): Promise<HttpResponseInit> {
  const { heartbeatMs, streamDeadlineMs } = needs.chatLimits;
  const turn = openTurn(exchange, streamDeadlineMs);
  const events = needs.agent.stream(request, turn.context)[Symbol.asyncIterator]();
  const first = events.next();
  try {
    await orSilence(first, heartbeatMs);
  } catch (error) {
    turn.close();
    throw error;
  }
  const source = chatEvents(exchange, { turn, events, first });
  return sseResponse(source, { heartbeatMs, connection: exchange.connection });
}

interface StartedTurn {
  readonly turn: Turn;
  readonly events: AsyncIterator<AgentEvent>;
  readonly first: Promise<IteratorResult<AgentEvent>>;
}

/** Ends with exactly one `done` or `error`, and never throws. */
async function* chatEvents(
  exchange: Exchange,
  { turn, events, first }: StartedTurn,
): AsyncGenerator<SseEvent, void, void> {
  const { requestId, telemetry } = exchange;
  const startedAt = performance.now();
  let outcome = 'client left';
  try {
    yield { event: 'session', data: { requestId } };
    for (let step = await first; step.done !== true; step = await events.next()) {
      yield toSseEvent(step.value, requestId);
    }
    outcome = 'done';
  } catch (thrown) {
    if (exchange.clientLeft.aborted) return;
    const error = toServiceError(thrown);
    outcome = error.code;
    telemetry.warn('stream failed', { code: error.code, cause: describeCause(error.cause) });
    yield { event: 'error', data: toProblem(error, requestId) };
  } finally {
    turn.close();
    await events.return?.();
    const durationMs = Math.round(performance.now() - startedAt);
    telemetry.info('stream ended', { outcome, durationMs });
  }
}

function toSseEvent(event: AgentEvent, requestId: string): SseEvent {
  if (event.type === 'delta') return { event: 'delta', data: { text: event.text } };
  const { response: _text, ...rest } = event.reply;
  return { event: 'done', data: { ...rest, requestId } };
}
