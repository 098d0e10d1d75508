import type {
  HttpHandler,
  HttpRequest,
  HttpResponseInit,
  InvocationContext,
} from '@azure/functions';
import { validateHeaderName, validateHeaderValue } from 'node:http';
import { type ServiceError, toServiceError } from '../errors.ts';
import { type ClientConnection, claimConnection, trackConnections } from './client-connection.ts';
import { readJson, rejectHeaderOverrideInQuery } from './read-body.ts';
import {
  type HandlerDependencies,
  type RequestContext,
  requestIdOf,
  type RequestRecord,
  type RouteHandler,
  startRequestRecord,
} from './request-context.ts';
import {
  type PlainResponse,
  problemResponse,
  withHeaders,
  withCorrelationHeaders,
} from './responses.ts';
import { statusOf } from '../protocols/problem-details.ts';
import { type AuditTrail, createAuditTrail } from '../telemetry/audit.ts';
import { describeError, stackFrames } from '../telemetry/describe-error.ts';
import type { LogFields, Telemetry } from '../telemetry/telemetry.ts';
import { chooseTraceparent, traceFields } from '../telemetry/spans.ts';
import { markStarted } from './worker-http-server.ts';

/** nginx's status for a client that closed the request; it is only logged. */
const CLIENT_CLOSED_REQUEST = 499;

export interface HandlerOptions {
  /** The template of the route in metrics and traces, if it is not that of the trigger. */
  readonly route?: string;
}

/**
 * Turns a route handler into a handler of the platform, without checking the caller. With HTTP
 * streaming enabled, the platform sends no response at all when a handler throws or returns
 * nothing, so this is the one place where every failure becomes a response.
 */
export function publicHandler<Dependencies extends HandlerDependencies>(
  getService: () => Promise<Dependencies>,
  handle: RouteHandler<Dependencies>,
  { route }: HandlerOptions = {},
): HttpHandler {
  trackConnections();
  return async (request, invocation) => {
    markStarted(invocation.invocationId);
    const start = startRequest(request, invocation);
    let telemetry: Telemetry | undefined;
    let record: RequestRecord | undefined;
    try {
      rejectHeaderOverrideInQuery(request);
      const service = await getService();
      ({ telemetry } = service);
      const { method } = request;
      record = startRequestRecord(telemetry, {
        ...start,
        method,
        route: route ?? routeTemplate(invocation),
      });
      start.traceparent = record.traceparent;
      telemetry = telemetry.with({
        requestId: start.requestId,
        ...traceFields(start.traceparent),
        route: invocation.functionName,
      });
      const context = createRequestContext(start, { request, service, telemetry, record });
      const handled = withHeaders(await handle(context, service), start.extraHeaders);
      const response = assertValidResponse(withCorrelationHeaders(handled, start));
      const { status = 200 } = response;
      telemetry.info('request answered', { status, ...elapsed(start) });
      record.respond(status);
      return response;
    } catch (thrown) {
      return toFailureResponse(thrown, { start, telemetry, invocation, record });
    }
  };
}

/** The registered route template: the number of templates is small, that of paths is unlimited. */
function routeTemplate({ options, functionName }: InvocationContext): string {
  const route: unknown = options.trigger['route'];
  return typeof route === 'string' ? `/${route}` : functionName;
}

interface RequestStart {
  readonly startedAt: number;
  readonly audit: AuditTrail;
  readonly requestId: string;
  /** The caller's trace context, until the request has a span of its own. */
  traceparent: string;
  readonly connection: ClientConnection | undefined;
  readonly clientDisconnected: AbortSignal;
  /** Headers of every response to this request, a failure included. */
  readonly extraHeaders: Record<string, string>;
  readonly header: (name: string) => string | undefined;
}

function startRequest(request: HttpRequest, invocation: InvocationContext): RequestStart {
  const connection = claimConnection(invocation.invocationId);
  const header = (name: string): string | undefined => {
    if (connection === undefined) return request.headers.get(name) ?? undefined;
    const value = connection.headers[name.toLowerCase()];
    return Array.isArray(value) ? value.join(', ') : value;
  };
  return {
    startedAt: performance.now(),
    audit: createAuditTrail(),
    requestId: requestIdOf(header('x-request-id')),
    // The host has a trace context of its own if its telemetry is on.
    traceparent: chooseTraceparent(invocation.traceContext?.traceParent, header('traceparent')),
    connection,
    extraHeaders: {},
    clientDisconnected: connection?.clientDisconnected ?? new AbortController().signal,
    header,
  };
}

interface RequestContextOptions {
  readonly request: HttpRequest;
  readonly service: HandlerDependencies;
  readonly telemetry: Telemetry;
  readonly record: RequestRecord;
}

function createRequestContext(start: RequestStart, parts: RequestContextOptions): RequestContext {
  const { request, service, telemetry, record } = parts;
  const { extraHeaders, ...known } = start;
  return {
    ...known,
    request,
    telemetry,
    startStream: record.startStream,
    onEnd: record.onEnd,
    addHeaders: (headers) => void Object.assign(extraHeaders, headers),
    readJson: () => readJson({ ...start, request }, service.requestBody),
  };
}

interface FailedRequest {
  readonly start: RequestStart;
  /** Undefined until the service has started. */
  readonly telemetry: Telemetry | undefined;
  readonly invocation: InvocationContext;
  readonly record: RequestRecord | undefined;
}

function toFailureResponse(thrown: unknown, failed: FailedRequest): HttpResponseInit {
  const { start, record } = failed;
  const error = toServiceError(thrown);
  const isDisconnected = start.clientDisconnected.aborted;
  try {
    if (isDisconnected) record?.respond(CLIENT_CLOSED_REQUEST, 'client_disconnected');
    else record?.respond(statusOf(error.code), error.code);
    logFailure(error, failed);
  } catch {
    // Failing telemetry must not prevent the response.
  }
  if (isDisconnected) return withCorrelationHeaders({ status: CLIENT_CLOSED_REQUEST }, start);
  return withHeaders(problemResponse(error, start), start.extraHeaders);
}

/** Writes one line for a failure. The start of the service has logged a wrong setting already. */
function logFailure(error: ServiceError, { start, telemetry, invocation }: FailedRequest): void {
  const { code, cause } = error;
  if (start.clientDisconnected.aborted) {
    const fields = { ...elapsed(start), code, cause: describeError(cause) };
    telemetry?.info('client disconnected', fields);
  } else if (telemetry !== undefined) {
    reportFailure(telemetry, { message: 'request failed', error, fields: elapsed(start) });
  } else if (code === 'internal') {
    invocation.error('service failed to start', describeError(cause), stackFrames(cause));
  }
}

function elapsed({ startedAt }: RequestStart): { readonly durationMs: number } {
  return { durationMs: Math.round(performance.now() - startedAt) };
}

/**
 * Returns the response if it can be written to a socket. The platform sends no response at all to a
 * request whose response is invalid.
 * @throws RangeError for the status, TypeError for a header
 */
export function assertValidResponse(response: PlainResponse): PlainResponse {
  const { status = 200, headers = {} } = response;
  if (!Number.isInteger(status) || status < 200 || status > 599) {
    throw new RangeError(
      `Cannot respond as 'status' must be a whole number from 200 to 599: current value is ${status}`,
    );
  }
  for (const [name, value] of Object.entries(headers)) {
    validateHeaderName(name);
    validateHeaderValue(name, value);
  }
  return response;
}

export interface Failure {
  readonly message: string;
  readonly error: ServiceError;
  readonly fields?: LogFields;
}

/** Logs a failure: info for the caller's errors, warn for ours, error with the place for a defect. */
export function reportFailure(telemetry: Telemetry, { message, error, fields }: Failure): void {
  const { code, cause } = error;
  const known = { ...fields, code, cause: describeError(cause) };
  if (code === 'internal') telemetry.error(message, { ...known, place: stackFrames(cause) });
  else telemetry[statusOf(code) < 500 ? 'info' : 'warn'](message, known);
}
