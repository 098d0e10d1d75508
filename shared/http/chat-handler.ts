import type { Agent, AgentEvent, AgentInput, InputSize } from '../agent/agent.ts';
import { ServiceError, toServiceError } from '../errors.ts';
import {
  type Frame,
  type Protocol,
  type SseEvent,
  type StreamEncoder,
  toProtocolError,
} from '../protocols/protocol.ts';
import { protocolById, protocolOfChatBody, type ProtocolId } from '../protocols/registry.ts';
import type { AdmissionDependencies } from './admission.ts';
import { failSession, openSessionRun, type SessionDependencies } from './chat-session.ts';
import { reportFailure } from './handler.ts';
import type { MeteredContext } from './request-context.ts';
import { jsonResponse, type PlainResponse } from './responses.ts';
import { startRun, type Run, type RunOutcome, type RunRecorder } from './run-scope.ts';
import { raceTimeout } from '../resilience/abort.ts';
import { discard, sseResponse } from './sse.ts';

/** What every route that runs the agent needs of the service. */
export interface ChatDependencies extends AdmissionDependencies, SessionDependencies {
  readonly agent: Agent;
  /** The name that clients know the agent by. */
  readonly publicModel: string;
  /** The size of the model request that an input leads to. */
  readonly measure: (input: AgentInput) => InputSize;
  readonly chatLimits: {
    readonly answerDeadlineMs: number;
    readonly streamDeadlineMs: number;
    readonly heartbeatMs: number;
  };
  /** A client that takes no data for so long is disconnected. */
  readonly slowReaderTimeoutMs: number;
  /** Starts a run in the background. */
  readonly startInBackground?: StartInBackground | undefined;
}

export type StartInBackground = (
  context: MeteredContext,
  chat: Pick<Chat, 'protocol' | 'dependencies'> & { readonly request: unknown },
) => Promise<PlainResponse>;

/**
 * The handler of every route that runs the agent: the protocol is the only difference. `by-body`
 * chooses it by the shape of the body.
 */
export function chatHandler(id: ProtocolId | 'by-body') {
  return async (
    context: MeteredContext,
    dependencies: ChatDependencies,
  ): Promise<PlainResponse> => {
    let protocol = id === 'by-body' ? protocolById('chat') : protocolById(id);
    try {
      const body = await context.readJson();
      if (id === 'by-body') protocol = protocolOfChatBody(body);
      return await handleChat(context, { protocol, dependencies, body });
    } catch (error) {
      throw toProtocolError(protocol, error);
    }
  };
}

interface ChatOptions {
  readonly protocol: Protocol<unknown>;
  readonly dependencies: ChatDependencies;
}

/** Runs the agent for a body that was read, and answers in the protocol, whole or streamed. */
export async function handleChat(
  context: MeteredContext,
  { protocol, dependencies, body }: ChatOptions & { readonly body: unknown },
): Promise<PlainResponse> {
  const request = protocol.parse(body);
  const { publicModel, sessions, startInBackground, measure } = dependencies;
  if (protocol.isBackground?.(request) === true && startInBackground !== undefined) {
    return startInBackground(context, { protocol, request, dependencies });
  }
  const input = protocol.toInput(request);
  const named = protocol.sessionOf?.(request);
  const session = named && (await openSessionRun(context, { ...named, input, sessions, measure }));
  const frame: Frame<unknown> = {
    request,
    requestId: context.requestId,
    startedAt: Date.now(),
    publicModel,
    sessionId: () => session?.sessionId() ?? null,
  };
  const agent = session?.agent(dependencies.agent) ?? dependencies.agent;
  const chat = {
    protocol,
    dependencies: { ...dependencies, agent },
    input: session?.input ?? input,
    frame,
    recorder: session?.recorder,
  };
  return runChat(context, chat).catch((error: unknown) => failSession(session, error));
}

/** One request that runs the agent. */
export interface Chat extends ChatOptions {
  readonly frame: Frame<unknown>;
  readonly input: AgentInput;
  /** Records the run, so that it can be stored. */
  readonly recorder?: RunRecorder | undefined;
}

/** Runs the agent, and answers with the whole result or with a stream. */
export function runChat(context: MeteredContext, chat: Chat): Promise<PlainResponse> {
  const accept = (context.header('accept') ?? '').toLowerCase();
  return chat.protocol.wantsStream(chat.frame.request, accept)
    ? streamResult(context, chat)
    : sendResult(context, chat);
}

async function sendResult(context: MeteredContext, chat: Chat): Promise<PlainResponse> {
  const { protocol, frame, input, dependencies } = chat;
  const { agent, measure } = dependencies;
  const deadlineMs = dependencies.chatLimits.answerDeadlineMs;
  const run = await startRun(context, { input, deadlineMs, measure });
  try {
    const result = await run.raceAbort(
      agent.run(input, { ...run.context, ...chat.recorder?.context }),
    );
    run.finish(result);
    await chat.recorder?.end({ kind: 'done', result });
    return jsonResponse(protocol.encodeResult(result, frame));
  } finally {
    run.close();
  }
}

/**
 * A run as server-sent events. A failure before the first event has its own HTTP status. If the
 * first event takes longer than a heartbeat, the response starts without it, so that no proxy on
 * the way closes the silent connection.
 */
async function streamResult(context: MeteredContext, chat: Chat): Promise<PlainResponse> {
  const { input, dependencies } = chat;
  const { agent, measure, chatLimits } = dependencies;
  const { heartbeatMs, streamDeadlineMs: deadlineMs } = chatLimits;
  const run = await startRun(context, { input, deadlineMs, measure });
  try {
    const runContext = { ...run.context, ...chat.recorder?.context };
    const ready = chat.recorder?.ready?.();
    const events = agent.stream(input, runContext)[Symbol.asyncIterator]();
    const first = run.raceAbort(events.next());
    const started = await raceTimeout(first, heartbeatMs);
    if (started !== 'timeout' && started.done === true) throw interrupted();
    await ready;
    const encoder = chat.protocol.openStream(chat.frame);
    const hasBegun = started !== 'timeout';
    return respond(context, { chat, encoder, run, events, first, hasBegun });
  } catch (error) {
    run.close();
    throw error;
  }
}

interface StartedStream {
  readonly chat: Chat;
  readonly encoder: StreamEncoder;
  readonly run: Run;
  readonly events: AsyncIterator<AgentEvent>;
  readonly first: Promise<IteratorResult<AgentEvent>>;
  /** The first event is there. */
  readonly hasBegun: boolean;
}

function respond(context: MeteredContext, stream: StartedStream): PlainResponse {
  const { telemetry, connection, clientDisconnected } = context;
  const { chat, encoder, run, events } = stream;
  const startedAt = performance.now();
  const end = context.startStream();
  let code: string | undefined;
  const { chatLimits, slowReaderTimeoutMs } = chat.dependencies;
  async function record(outcome: RunOutcome): Promise<void> {
    await chat.recorder?.end(outcome).catch((error: unknown) => {
      reportFailure(telemetry, { message: 'run not stored', error: toServiceError(error) });
    });
  }
  return sseResponse(encodeEvents(stream), {
    format: chat.protocol.streamFormat ?? 'sse',
    headers: chat.protocol.streamHeaders ?? {},
    heartbeatMs: chatLimits.heartbeatMs,
    slowReaderTimeoutMs,
    connection,
    signal: run.context.signal,
    async toLastEvents(thrown) {
      const error = toProtocolError(chat.protocol, thrown);
      code = clientDisconnected.aborted ? 'client_disconnected' : error.code;
      if (clientDisconnected.aborted) return [];
      reportFailure(telemetry, { message: 'stream failed', error });
      // The next request of the client must find the run stored, and its conversation free.
      await record({ kind: 'failed', error });
      return encoder.fail(error);
    },
    onEnd(how) {
      if (how !== 'complete') {
        code = how === 'cancelled' ? 'client_disconnected' : how;
        run.abort();
      }
      if (clientDisconnected.aborted || how !== 'complete') void record({ kind: 'cancelled' });
      run.close();
      discard(events);
      const durationMs = Math.round(performance.now() - startedAt);
      telemetry.info('stream ended', { outcome: code ?? 'done', durationMs });
      end(code);
    },
  });
}

/** Ends with exactly one `done`, or throws once the recorder knows. */
async function* encodeEvents({
  chat: { recorder },
  encoder,
  run,
  events,
  first,
  hasBegun,
}: StartedStream): AsyncGenerator<readonly SseEvent[], void, void> {
  // What has happened by now is one write.
  let batch = [...encoder.start()];
  try {
    if (!hasBegun) {
      yield batch;
      batch = [];
    }
    for (let next = await first; next.done !== true; next = await run.raceAbort(events.next())) {
      for (const event of splitPieces(next.value)) {
        if (event.type === 'done') {
          run.finish(event.result);
          await recorder?.end({ kind: 'done', result: event.result });
        } else recorder?.event(event);
        batch.push(...encoder.event(event));
      }
      if (batch.length > 0) yield batch;
      if (next.value.type === 'done') return;
      batch = [];
    }
    throw interrupted();
  } catch (thrown) {
    if (batch.length > 0) yield batch;
    await recorder?.fail?.(thrown);
    throw thrown;
  }
}

/**
 * Each delta of the endpoint is an event of its own, also where several arrived together: for the
 * client, and for the recorder, whose events a later request repeats.
 */
function splitPieces(event: AgentEvent): readonly AgentEvent[] {
  if (event.type !== 'text-delta' || event.pieces === undefined) return [event];
  const { type, isRefusal, pieces } = event;
  const kind = isRefusal === undefined ? { type } : { type, isRefusal };
  return pieces.map((text) => Object.assign({ text }, kind));
}

function interrupted(): ServiceError {
  return new ServiceError('upstream_interrupted', 'The model stopped in the middle of its answer');
}
