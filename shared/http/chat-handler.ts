import type { Agent, AgentEvent, AgentInput, InputSize, RunResult } from '../agent/agent.ts';
import { ServiceError, toServiceError } from '../errors.ts';
import type { AdmissionDependencies } from './admission.ts';
import { reportFailure } from './handler.ts';
import type { MeteredContext } from './request-context.ts';
import { jsonResponse, type PlainResponse } from './responses.ts';
import { startRun, type Run } from './run-scope.ts';
import { discard, DONE, raceTimeout, type SseEvent, sseResponse } from './sse.ts';
import { type ChatRequest, parseChatRequest } from '../protocols/chat-api.ts';
import {
  parseCompletionsRequest,
  toChunk,
  toChatCompletion,
  toUsageChunk,
} from '../protocols/openai-chat-completions.ts';
import { type Problem, toProblem } from '../protocols/problem-details.ts';

/** POST /api/chat: one message, answered as JSON or as a stream of events. */
export async function handleChat(
  exchange: MeteredContext,
  needs: ChatDependencies,
): Promise<PlainResponse> {
  const request = parseChatRequest(await exchange.readJson());
  if (wantsStream(exchange, request)) return streamChat(exchange, { request, needs });
  const deadlineMs = needs.chatLimits.answerDeadlineMs;
  const turn = await startRun(exchange, { question: request, deadlineMs, measure: needs.measure });
  try {
    const reply = await turn.within(needs.agent.answer(request, turn.context));
    turn.finish(reply);
    return jsonResponse({ ...reply, requestId: exchange.requestId });
  } finally {
    turn.close();
  }
}

function wantsStream(exchange: MeteredContext, request: ChatRequest): boolean {
  if (request.stream !== undefined) return request.stream;
  return (exchange.header('accept') ?? '').toLowerCase().includes('text/event-stream');
}

export interface CompletionsDependencies extends ChatDependencies {
  /** What the agent is called where a client wants the name of a model. */
  readonly publicModel: string;
}

/** POST /v1/chat/completions: the agent for clients of OpenAI's API. */
export async function handleChatCompletions(
  exchange: MeteredContext,
  needs: CompletionsDependencies,
): Promise<PlainResponse> {
  const { question, stream, includeUsage } = parseCompletionsRequest(await exchange.readJson());
  const frame = { requestId: exchange.requestId, created: Math.floor(Date.now() / 1_000) };
  if (stream) {
    const dialect = chunkDialect(frame, { includeUsage, model: needs.publicModel });
    return streamChat(exchange, { request: question, needs, dialect });
  }
  const deadlineMs = needs.chatLimits.answerDeadlineMs;
  const turn = await startRun(exchange, { question, deadlineMs, measure: needs.measure });
  try {
    const reply = await turn.within(needs.agent.answer(question, turn.context));
    turn.finish(reply);
    return jsonResponse(toChatCompletion(reply, frame));
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
  end(reply: RunResult): readonly SseEvent[];
  fail(problem: Problem): SseEvent;
}

/**
 * A chat as server-sent events. A failure before the first event is answered with its own status.
 * Only when the model takes longer than a heartbeat does the stream begin without it, so that
 * nothing in between hangs up.
 */
export async function streamChat(
  exchange: MeteredContext,
  { request, needs, dialect = nativeDialect(exchange.requestId) }: StreamOptions,
): Promise<PlainResponse> {
  const { heartbeatMs, streamDeadlineMs: deadlineMs } = needs.chatLimits;
  const { measure } = needs;
  const turn = await startRun(exchange, { question: request, deadlineMs, measure });
  try {
    const events = needs.agent.stream(request, turn.context)[Symbol.asyncIterator]();
    const first = turn.within(events.next());
    const begun = await raceTimeout(first, heartbeatMs);
    if (begun !== 'silence' && begun.done === true) throw interrupted();
    return respond(exchange, { turn, events, first, dialect, heartbeatMs });
  } catch (error) {
    turn.close();
    throw error;
  }
}

interface StreamOptions {
  readonly request: AgentInput;
  readonly needs: ChatDependencies;
  readonly dialect?: StreamDialect;
}

interface StartedRun {
  readonly dialect: StreamDialect;
  readonly turn: Run;
  readonly events: AsyncIterator<AgentEvent>;
  readonly first: Promise<IteratorResult<AgentEvent>>;
}

function respond(
  exchange: MeteredContext,
  { heartbeatMs, ...started }: StartedRun & { heartbeatMs: number },
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
}: StartedRun): AsyncGenerator<SseEvent, void, void> {
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
export interface ChatDependencies extends AdmissionDependencies {
  readonly agent: Agent;
  /** How much a question asks for, before anything is asked. */
  readonly measure: (question: AgentInput) => InputSize;
  readonly chatLimits: {
    readonly answerDeadlineMs: number;
    readonly streamDeadlineMs: number;
    readonly heartbeatMs: number;
  };
}
