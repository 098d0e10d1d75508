import type { AgentInput } from '../agent/agent.ts';
import { isErrorCode, ServiceError, toServiceError } from '../errors.ts';
import { DONE, type SseEvent, type StreamEncoder } from '../protocols/protocol.ts';
import { storedProtocol } from '../protocols/registry.ts';
import type { FoundRun, RunHistory, RunService } from '../runs/run-service.ts';
import type { RunEnd, RunEvent, RunRecord } from '../runs/run-record.ts';
import type { ChatDependencies } from './chat-handler.ts';
import { reportFailure } from './handler.ts';
import type { CallerContext, MeteredContext } from './request-context.ts';
import { jsonResponse, type PlainResponse } from './responses.ts';
import { reserveTokens } from '../rate-limit/reservation.ts';
import { sseResponse } from './sse.ts';

interface OpenedRun {
  readonly encoder: StreamEncoder;
  readonly encode: (event: RunEvent | RunEnd) => readonly SseEvent[];
}

/** The encoder of a stored run. Every process encodes its events alike, number by number. */
function openRun(record: RunRecord): OpenedRun {
  const protocol = storedProtocol(record.protocol);
  let endedAt = record.createdAt;
  const encoder = protocol.openStream({
    request: protocol.storage.fromJson(record.request),
    requestId: record.requestId,
    startedAt: record.createdAt,
    publicModel: record.publicModel,
    runId: record.id,
    sessionId: () => record.conversationId ?? null,
    endedAt: () => endedAt,
  });
  return {
    encoder,
    encode(event) {
      if ('kind' in event) endedAt = event.at;
      return encodeStored(encoder, event);
    },
  };
}

/** Gives an encoder all events of a stored run. */
export function replay(encoder: StreamEncoder, { events, end }: RunHistory): void {
  encoder.start();
  for (const event of events) encodeStored(encoder, event);
  if (end !== undefined) encodeStored(encoder, end);
}

function encodeStored(encoder: StreamEncoder, event: RunEvent | RunEnd): readonly SseEvent[] {
  if ('kind' in event) return encodeEnd(encoder, event);
  return event.type === 'restart' ? (encoder.restart?.() ?? []) : encoder.event(event);
}

function encodeEnd(encoder: StreamEncoder, end: RunEnd): readonly SseEvent[] {
  switch (end.kind) {
    case 'done':
      return encoder.event({ type: 'done', result: end.result });
    case 'failed': {
      const code = isErrorCode(end.code) ? end.code : 'internal';
      return encoder.fail(new ServiceError(code, end.message));
    }
    case 'cancelled':
    case 'deleted':
      return encoder.cancel?.() ?? [];
  }
}

/**
 * The tokens of a run in the background are reserved when it starts; when it is queued, they must fit.
 * @throws ServiceError rate_limited or budget_exhausted
 */
export async function assertTokensLeft(
  context: MeteredContext,
  { input, measure }: Pick<ChatDependencies, 'measure'> & { readonly input: AgentInput },
): Promise<void> {
  const { reservation } = await reserveTokens(measure(input), (tokens) => context.reserve(tokens));
  void reservation.settle(0);
}

export interface BackgroundRun {
  readonly record: RunRecord;
  /** Takes the conversation of the run. */
  readonly claim?: (() => Promise<void>) | undefined;
  readonly service: RunService;
  readonly dependencies: ChatDependencies;
}

/** Puts a run on the queue, and answers with its state or, if it is streamed, with its events. */
export async function startRunInBackground(
  context: MeteredContext,
  { record, claim, service, dependencies }: BackgroundRun,
): Promise<PlainResponse> {
  await service.start(record, claim);
  if (record.isStreamed) return followRun(context, record, { service, after: -1, dependencies });
  return jsonResponse(await snapshotOf(record, { service, status: 'queued' }));
}

/** The run as a client that polls it reads it. */
export async function snapshotOf(
  record: RunRecord,
  { service, status }: { readonly service: RunService; readonly status: FoundRun['status'] },
): Promise<unknown> {
  const { encoder, encode } = openRun(record);
  encoder.start();
  if (status === 'ended') {
    const { events, end } = await service.history(record);
    for (const event of events) encode(event);
    if (end !== undefined) encode(end);
  }
  return encoder.snapshot?.(status === 'queued' ? 'queued' : 'in_progress');
}

export interface FollowOptions {
  readonly service: RunService;
  /** The number of the last event that the client has; -1 for none. */
  readonly after: number;
  readonly dependencies: Pick<ChatDependencies, 'chatLimits' | 'slowReaderTimeoutMs'>;
}

/**
 * The events of a stored run, from the one after `after` on, and then as they happen. A client that
 * leaves does not stop the run. The platform ends every response after some minutes, so a longer run
 * is followed by several requests: the stream then ends without a last event.
 */
export function followRun(
  context: CallerContext,
  record: RunRecord,
  { service, after, dependencies }: FollowOptions,
): PlainResponse {
  const { chatLimits, slowReaderTimeoutMs } = dependencies;
  const scope = new AbortController();
  const timer = setTimeout(() => scope.abort(), chatLimits.streamDeadlineMs);
  const end = context.startStream();
  const signal = AbortSignal.any([context.clientDisconnected, scope.signal]);
  const events = encodeRun(record, { after, events: service.watch(record, signal) });
  let code: string | undefined;
  return sseResponse(events, {
    headers: storedProtocol(record.protocol).streamHeaders ?? {},
    heartbeatMs: chatLimits.heartbeatMs,
    slowReaderTimeoutMs,
    connection: context.connection,
    signal,
    toLastEvents(thrown) {
      // The run goes on, so its client must not read an end.
      const error = toServiceError(thrown);
      code = error.code;
      reportFailure(context.telemetry, { message: 'stream failed', error });
      return [];
    },
    onEnd(how) {
      clearTimeout(timer);
      scope.abort();
      end(how === 'complete' ? code : 'client_disconnected');
    },
  });
}

interface EncodeOptions {
  readonly after: number;
  readonly events: AsyncIterable<RunEvent | RunEnd>;
}

async function* encodeRun(
  record: RunRecord,
  { after, events }: EncodeOptions,
): AsyncGenerator<readonly SseEvent[], void, void> {
  const { encoder, encode } = openRun(record);
  let number = 0;
  function isNew({ data }: SseEvent): boolean {
    if (data === DONE) return true;
    number += 1;
    return number - 1 > after;
  }
  yield encoder.start().filter(isNew);
  for await (const event of events) yield encode(event).filter(isNew);
}
