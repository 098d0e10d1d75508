import type { Agent, AgentEvent, Question, QuestionSize, Reply } from '../agent/agent.ts';
import { ServiceError, toServiceError } from '../errors.ts';
import type { CallerNeeds } from './admission.ts';
import { reportFailure } from './handler.ts';
import type { MeteredExchange } from './request-context.ts';
import { jsonResponse, type PlainResponse } from './responses.ts';
import { openTurn, type Turn } from './run-scope.ts';
import { discard, DONE, orSilence, type SseEvent, sseResponse } from './sse.ts';
import { type ChatRequest, parseChatRequest } from '../protocols/chat-api.ts';
import {
  parseCompletionsRequest,
  toChunk,
  toCompletion,
  toUsageChunk,
} from '../protocols/openai-chat-completions.ts';
import { type Problem, toProblem } from '../protocols/problem-details.ts';

/** POST /api/chat: one message, answered as JSON or as a stream of events. */
export async function answerChat(
  exchange: MeteredExchange,
  needs: ChatNeeds,
): Promise<PlainResponse> {
  const request = parseChatRequest(await exchange.readJson());
  if (wantsStream(exchange, request)) return streamChat(exchange, { request, needs });
  const deadlineMs = needs.chatLimits.answerDeadlineMs;
  const turn = await openTurn(exchange, { question: request, deadlineMs, measure: needs.measure });
  try {
    const reply = await turn.within(needs.agent.answer(request, turn.context));
    turn.finish(reply);
    return jsonResponse({ ...reply, requestId: exchange.requestId });
  } finally {
    turn.close();
  }
}

function wantsStream(exchange: MeteredExchange, request: ChatRequest): boolean {
  if (request.stream !== undefined) return request.stream;
  return (exchange.header('accept') ?? '').toLowerCase().includes('text/event-stream');
}

export interface CompletionsNeeds extends ChatNeeds {
  /** What the agent is called where a client wants the name of a model. */
  readonly publicModel: string;
}

/** POST /v1/chat/completions: the agent for clients of OpenAI's API. */
export async function answerCompletions(
  exchange: MeteredExchange,
  needs: CompletionsNeeds,
): Promise<PlainResponse> {
  const { question, stream, includeUsage } = parseCompletionsRequest(await exchange.readJson());
  const frame = { requestId: exchange.requestId, created: Math.floor(Date.now() / 1_000) };
  if (stream) {
    const dialect = chunkDialect(frame, { includeUsage, model: needs.publicModel });
    return streamChat(exchange, { request: question, needs, dialect });
  }
  const deadlineMs = needs.chatLimits.answerDeadlineMs;
  const turn = await openTurn(exchange, { question, deadlineMs, measure: needs.measure });
  try {
    const reply = await turn.within(needs.agent.answer(question, turn.context));
    turn.finish(reply);
    return jsonResponse(toCompletion(reply, frame));
  } finally {
    turn.close();
  }
}

/** Chunks without event names, and an end mark. An error is the end too: the client throws it. */
function chunkDialect(
  frame: { readonly requestId: string; readonly created: number },
  { includeUsage, model }: { readonly includeUsage: boolean; readonly model: string },
): StreamDialect {
  return {
    begin: () => [{ data: toChunk({ role: 'assistant', content: '' }, { frame, model }) }],
    delta: (content) => [{ data: toChunk({ content }, { frame, model }) }],
    end(reply) {
      const last = toChunk({}, { frame, model, finishReason: reply.finishReason });
      const usage = includeUsage ? [{ data: toUsageChunk({ ...reply, model }, frame) }] : [];
      return [{ data: last }, ...usage, { data: DONE }];
    },
    fail: ({ error }) => ({ data: { error } }),
  };
}

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

/** What every route that asks the agent needs of the service. */
export interface ChatNeeds extends CallerNeeds {
  readonly agent: Agent;
  /** How much a question asks for, before anything is asked. */
  readonly measure: (question: Question) => QuestionSize;
  readonly chatLimits: {
    readonly answerDeadlineMs: number;
    readonly streamDeadlineMs: number;
    readonly heartbeatMs: number;
  };
}
