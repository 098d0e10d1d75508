import type { HttpRequest } from '@azure/functions';
import type { ClientConnection } from './client-connection.ts';
import type { BodyLimits } from './read-body.ts';
import type { PlainResponse } from './responses.ts';
import type { Reservation } from '../rate-limit/rate-limiter.ts';
import type { AuditTrail } from '../telemetry/audit.ts';
import { ATTRIBUTES, SPANS, traceFields } from '../telemetry/spans.ts';
import type { Telemetry } from '../telemetry/telemetry.ts';

/** One request, and everything that a route handler may need of it. */
export interface RequestContext {
  readonly requestId: string;
  readonly traceparent: string;
  readonly request: HttpRequest;
  /** A header as it arrived on the wire: neither query nor body can replace it. */
  readonly header: (name: string) => string | undefined;
  /** Undefined if the host does not stream. */
  readonly connection: ClientConnection | undefined;
  /** Aborts when the client disconnects before the response is complete. */
  readonly clientDisconnected: AbortSignal;
  readonly telemetry: Telemetry;
  /** What the audit log says about the request. */
  readonly audit: AuditTrail;
  /**
   * Call it if the response continues after its headers. It returns a function to call at the end of
   * the stream, with an error code if the stream failed.
   */
  readonly startStream: () => (code?: string) => void;
  /** Calls the function at the end of the response, or at once if it has ended. */
  readonly onEnd: (callback: () => void) => void;
  /** Adds headers to the response, whether it is a result, an error or a stream. */
  readonly addHeaders: (headers: Readonly<Record<string, string>>) => void;
  /**
   * Reads the body as strict JSON.
   * @throws ServiceError when it is not JSON, too large, ambiguous or wrongly encoded
   */
  readJson(): Promise<unknown>;
}

/** A request of an identified caller. */
export interface CallerContext extends RequestContext {
  /**
   * The scope of everything that belongs to one caller: a hash without personal data. Reading it
   * throws until the body was read, if there is one.
   */
  readonly callerId: string;
  /**
   * A route that reads another body than JSON calls this once the body proved to be of that kind and
   * before it uses the body. It verifies the caller and counts the request.
   * @throws ServiceError rate_limited
   */
  markNonJsonBody(): Promise<void>;
  /**
   * Counts the request now, for a route that looks something up before it reserves tokens.
   * @throws ServiceError rate_limited
   */
  countRequest(): Promise<void>;
}

/** A request that has not reserved its tokens yet. */
export interface MeteredContext extends CallerContext {
  /**
   * Counts the request and reserves the tokens that it may use.
   * @throws ServiceError rate_limited, budget_exhausted or context_too_long
   */
  reserve(tokens: number): Promise<Reservation>;
  /**
   * Reserves more tokens for a request that is counted already.
   * @throws ServiceError rate_limited, budget_exhausted or context_too_long
   */
  reserveMore(tokens: number): Promise<Reservation>;
}

/** Handles one route with the parts of the service that it depends on. */
export type RouteHandler<Dependencies> = (
  context: RequestContext,
  dependencies: Dependencies,
) => Promise<PlainResponse>;

/** What every handler needs of the service. */
export interface HandlerDependencies {
  readonly telemetry: Telemetry;
  /** Limits of a JSON body. */
  readonly requestBody: BodyLimits;
}

const REQUEST_ID = /^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$/;

/** The caller's request id if it is safe to log, else a new one. */
export function requestIdOf(fromCaller: string | undefined): string {
  return fromCaller !== undefined && REQUEST_ID.test(fromCaller) ? fromCaller : crypto.randomUUID();
}

/**
 * The `{id}` of a route without a body. A value in the path takes precedence over one in the query
 * or the body.
 * @throws ServiceError
 */
export async function routeId(context: RequestContext): Promise<string> {
  await assertNoBody(context);
  return context.request.params['id'] ?? '';
}

/**
 * Reads a body that the route has no use for: the platform takes headers from it, and reading it
 * refuses a body that replaces them.
 * @throws ServiceError
 */
export async function assertNoBody(context: RequestContext): Promise<void> {
  if (Number(context.header('content-length') ?? 0) > 0) await context.readJson();
}

interface RecordedRequest {
  readonly method: string;
  /** The template of the route: the number of paths is unlimited. */
  readonly route: string;
  readonly requestId: string;
  readonly traceparent: string;
  /** A value of `performance.now()`. */
  readonly startedAt: number;
  readonly audit: AuditTrail;
  /** Aborts when the client disconnects before the response is complete. */
  readonly clientDisconnected: AbortSignal;
}

/** Records a request as one span and one measurement. */
export interface RequestRecord {
  /** The trace context of the request's span. */
  readonly traceparent: string;
  /** The response continues after its status: the request ends with the returned function. */
  readonly startStream: () => (code?: string) => void;
  /** Calls the function at the end of the request, or at once if it has ended. */
  readonly onEnd: (callback: () => void) => void;
  /** Records the status, and the code of a failed request. */
  respond(status: number, code?: string): void;
}

export function startRequestRecord(telemetry: Telemetry, request: RecordedRequest): RequestRecord {
  const { method, route, startedAt, clientDisconnected: disconnected } = request;
  const span = telemetry.startSpan(SPANS.request(method, route), {
    kind: 'server',
    parent: request.traceparent,
    startedAt: Date.now() - (performance.now() - startedAt),
    attributes: {
      [ATTRIBUTES.httpMethod]: method,
      [ATTRIBUTES.httpRoute]: route,
      [ATTRIBUTES.requestId]: request.requestId,
    },
  });
  const traceparent = span.traceparent ?? request.traceparent;
  let isStream = false;
  let status: number | undefined;
  let isEnded = false;
  const callbacks: (() => void)[] = [];

  function end(code?: string): void {
    if (isEnded) return;
    isEnded = true;
    for (const callback of callbacks) callback();
    const statusCode = status ?? 200;
    writeAudit(telemetry, { request, traceparent, statusCode, code });
    const known = { 'http.route': route, 'http.response.status_code': statusCode };
    const seconds = (performance.now() - startedAt) / 1_000;
    telemetry.record('requestDuration', seconds, { ...known, 'agent.stream': isStream });
    if (code !== undefined) {
      telemetry.count('requestErrors', 1, { 'http.route': route, 'error.type': code });
    }
    span.set({ [ATTRIBUTES.statusCode]: statusCode, [ATTRIBUTES.stream]: isStream });
    span.end(code);
  }

  return {
    traceparent,
    startStream() {
      isStream = true;
      // The body of a disconnected client may never be read to its end.
      disconnected.addEventListener('abort', () => end('client_disconnected'), { once: true });
      return end;
    },
    onEnd(callback) {
      if (isEnded) callback();
      else callbacks.push(callback);
    },
    respond(known, code) {
      status = known;
      // A request that fails before its stream starts is not a stream.
      if (code !== undefined) isStream = false;
      if (!isStream) end(code);
    },
  };
}

interface AuditedRequest {
  readonly request: RecordedRequest;
  readonly traceparent: string;
  readonly statusCode: number;
  readonly code: string | undefined;
}

function writeAudit(
  telemetry: Telemetry,
  { request, traceparent, statusCode, code }: AuditedRequest,
): void {
  const { method, route, requestId, startedAt, audit } = request;
  if (!audit.isRequired()) return;
  audit.write((fields) => telemetry.audit(fields), {
    action: `${method} ${route}`,
    outcome: code ?? 'ok',
    durationMs: Math.round(performance.now() - startedAt),
    fields: { requestId, ...traceFields(traceparent), status: statusCode },
  });
}
