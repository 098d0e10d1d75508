import type { AgentEvent, AgentInput, RunResult } from '../agent/agent.ts';
import { type ErrorCode, ServiceError, toServiceError } from '../errors.ts';

/**
 * A wire format that clients speak: how its requests are read and how results, events and errors
 * are written. HTTP and batch use the same protocols. Encoders write each field by its name and
 * never spread a domain object, so that a new field of a result does not reach clients by accident.
 */
export interface Protocol<Request> {
  readonly id: string;
  /** The `url` of batch items, and `endpoint` of batches, in this protocol. */
  readonly batchUrl?: string;
  /** Whether the body of a batch item has the shape of this protocol. */
  recognizes(body: unknown): boolean;
  /** Codes of errors that clients of this protocol know by another name. */
  readonly errorCodes?: Readonly<Partial<Record<ErrorCode, ErrorCode>>>;
  /** @throws ServiceError invalid_request naming the field */
  parse(body: unknown): Request;
  toInput(request: Request): AgentInput;
  /** Whether the client expects a stream. `accept` is the Accept header, in lower case. */
  wantsStream(request: Request, accept: string): boolean;
  /** How a stream is written: server-sent events, or the data of each event on a line of its own. */
  readonly streamFormat?: StreamFormat;
  /** Headers that clients of this protocol expect with a stream. */
  readonly streamHeaders?: Readonly<Record<string, string>>;
  encodeResult(result: RunResult, frame: Frame<Request>): unknown;
  /** Starts the encoding of one stream. */
  openStream(frame: Frame<Request>): StreamEncoder;
  /** The session of a request, the named one or a new one; undefined if the client keeps the chat. */
  sessionOf?(request: Request): { readonly sessionId: string | undefined } | undefined;
  /** The id of the chat by which a front end asks for its active run. */
  chatOf?(request: Request): string;
  /** Present if runs of this protocol can be stored. */
  readonly storage?: RequestStorage<Request>;
  /** Whether the client wants a run in the background. */
  isBackground?(request: Request): boolean;
}

export type StreamFormat = 'sse' | 'json-lines';

/** How a request is stored, so that another process can run it and encode its events. */
export interface RequestStorage<Request> {
  /** A JSON value. */
  toJson(request: Request): unknown;
  fromJson(value: unknown): Request;
}

/** Encodes the events of one stream, in their order. It may keep state between them. */
export interface StreamEncoder {
  /** The events before the first event of the agent. */
  start(): readonly SseEvent[];
  event(event: AgentEvent): readonly SseEvent[];
  /** The last events of a stream that fails. */
  fail(error: ServiceError): readonly SseEvent[];
  /** What follows is instead of the text of the step, which was interrupted. */
  restart?(): readonly SseEvent[];
  /** The last events of a run that was cancelled. */
  cancel?(): readonly SseEvent[];
  /** The run as a client that polls it reads it. `status` is that of a run without an end. */
  snapshot?(status: 'queued' | 'in_progress'): unknown;
}

/** The values that every part of one answer shares. */
export interface Frame<Request> {
  readonly request: Request;
  /** Clients quote it; the log can be searched for it. */
  readonly requestId: string;
  /** The start of the run in milliseconds since the epoch. */
  readonly startedAt: number;
  /** The name that clients know the agent by. */
  readonly publicModel: string;
  /** The session of the run, once it is known; null if there is none. */
  readonly sessionId?: (() => string | null) | undefined;
  /** The id of a stored run. */
  readonly runId?: string | undefined;
  /** The end of a stored run in milliseconds since the epoch. */
  readonly endedAt?: (() => number) | undefined;
}

/** Whether a text has the form of the id of a session. */
export function isSessionId(text: string): boolean {
  return /^sess_[0-9a-f]+$/.test(text);
}

/** @throws ServiceError invalid_request if the last message is not of the user */
export function assertUserMessage(messages: readonly { readonly role: string }[]): void {
  if (messages.at(-1)?.role === 'user') return;
  throw new ServiceError(
    'invalid_request',
    'Cannot accept the request: the last of "messages" must be of the user, as a session has the others',
    { param: 'messages' },
  );
}

/**
 * What a client of a session adds to it: the messages after the last answer, and instructions. The
 * session has the rest, so that the client may send the whole conversation or the new part of it.
 */
export function newMessages<M extends { readonly role: string }>(
  messages: readonly M[],
): readonly M[] {
  const answered = messages.findLastIndex(({ role }) => role === 'assistant');
  return messages.filter(({ role }, index) => index > answered || role === 'system');
}

/** OpenAI clients shorten a conversation and try again when they read this code. */
export const OPENAI_ERROR_CODES = { context_too_long: 'context_length_exceeded' } as const;

/** The error as clients of the protocol know it. */
export function toProtocolError(
  { errorCodes }: Pick<Protocol<unknown>, 'errorCodes'>,
  thrown: unknown,
): ServiceError {
  const error = toServiceError(thrown);
  const code = errorCodes?.[error.code];
  if (code === undefined) return error;
  const { message, cause, retryAfterSeconds, param } = error;
  return new ServiceError(code, message, { cause, retryAfterSeconds, param });
}

/** One server-sent event. */
export interface SseEvent {
  /** Absent in protocols whose clients tell events apart by their data. */
  readonly event?: string;
  /** Sent as JSON. */
  readonly data: unknown;
}

/** The end mark of OpenAI's streams. It is sent as `[DONE]`, which is not JSON. */
export const DONE = Symbol('[DONE]');
