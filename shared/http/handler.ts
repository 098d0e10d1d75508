import type {
  HttpHandler,
  HttpRequest,
  HttpResponseInit,
  InvocationContext,
} from '@azure/functions';
import { validateHeaderName, validateHeaderValue } from 'node:http';
import { type ServiceError, toServiceError } from '../errors.ts';
import { type ClientConnection, claimConnection, trackConnections } from './client-connection.ts';
import { readJson, rejectHeaderOverrideInQuery } from './read-json.ts';
import {
  type RouteHandler,
  type RequestContext,
  type HandlerDependencies,
  requestIdOf,
  traceFieldsOf,
  traceparentOf,
} from './request-context.ts';
import { startRequestRecord, type RequestRecord } from './request-telemetry.ts';
import {
  type PlainResponse,
  problemResponse,
  withHeaders,
  withCorrelationHeaders,
} from './responses.ts';
import { statusOf } from '../protocols/problem-details.ts';
import { describeError, stackFrames } from '../telemetry/describe-error.ts';
import type { LogFields, Telemetry } from '../telemetry/telemetry.ts';

/** nginx's number for a client that left; nobody is there to read it. */
const CLIENT_CLOSED_REQUEST = 499;

/**
 * Wraps an answer as a handler of the platform, for a route that anybody may call. With HTTP
 * streaming on, a handler that throws or returns nothing never answers at all, so every failure
 * becomes a response here.
 */
export function publicHandler<Needs extends HandlerDependencies>(
  getService: () => Promise<Needs>,
  answer: RouteHandler<Needs>,
): HttpHandler {
  trackConnections();
  return async (request, context) => {
    const arrival = startRequest(request, context);
    let telemetry: Telemetry | undefined;
    let record: RequestRecord | undefined;
    try {
      rejectHeaderOverrideInQuery(request);
      const service = await getService();
      ({ telemetry } = service);
      const { method } = request;
      record = startRequestRecord(telemetry, {
        ...arrival,
        method,
        route: routeOf(context),
      });
      arrival.traceparent = record.traceparent;
      telemetry = telemetry.with({
        requestId: arrival.requestId,
        ...traceFieldsOf(arrival.traceparent),
        route: context.functionName,
      });
      const { streams } = record;
      const exchange = createRequestContext(arrival, { request, service, telemetry, streams });
      const answered = withHeaders(await answer(exchange, service), arrival.extraHeaders);
      const response = assertValidResponse(withCorrelationHeaders(answered, arrival));
      const { status = 200 } = response;
      telemetry.info('request answered', { status, ...elapsed(arrival) });
      record.answered(status);
      return response;
    } catch (thrown) {
      return toFailureResponse(thrown, { arrival, telemetry, context, record });
    }
  };
}

/** The template that the route was registered with: few, whatever paths are asked for. */
function routeOf({ options, functionName }: InvocationContext): string {
  const route: unknown = options.trigger['route'];
  return typeof route === 'string' ? `/${route}` : functionName;
}

interface RequestStart {
  readonly startedAt: number;
  readonly requestId: string;
  /** First that of the caller, then that of the request itself. */
  traceparent: string;
  readonly connection: ClientConnection | undefined;
  readonly clientLeft: AbortSignal;
  /** What any answer to this request carries besides its own. */
  readonly extraHeaders: Record<string, string>;
  readonly header: (name: string) => string | undefined;
}

function startRequest(request: HttpRequest, context: InvocationContext): RequestStart {
  const connection = claimConnection(context.invocationId);
  const header = (name: string): string | undefined => {
    if (connection === undefined) return request.headers.get(name) ?? undefined;
    const value = connection.headers[name.toLowerCase()];
    return Array.isArray(value) ? value.join(', ') : value;
  };
  return {
    startedAt: performance.now(),
    requestId: requestIdOf(header('x-request-id')),
    traceparent: traceparentOf(context.traceContext?.traceParent, header('traceparent')),
    connection,
    extraHeaders: {},
    clientLeft: connection?.clientLeft ?? new AbortController().signal,
    header,
  };
}

interface ContextParts {
  readonly request: HttpRequest;
  readonly service: HandlerDependencies;
  readonly telemetry: Telemetry;
  readonly streams: RequestContext['streams'];
}

function createRequestContext(arrival: RequestStart, parts: ContextParts): RequestContext {
  const { request, service, telemetry, streams } = parts;
  const { extraHeaders, ...known } = arrival;
  return {
    ...known,
    request,
    telemetry,
    streams,
    addHeaders: (headers) => void Object.assign(extraHeaders, headers),
    readJson: () => readJson({ request, header: arrival.header }, service.maxRequestBytes),
  };
}

interface FailedRequest {
  readonly arrival: RequestStart;
  /** Undefined while there is no service yet. */
  readonly telemetry: Telemetry | undefined;
  readonly context: InvocationContext;
  readonly record: RequestRecord | undefined;
}

function toFailureResponse(thrown: unknown, failing: FailedRequest): HttpResponseInit {
  const { arrival, record } = failing;
  const error = toServiceError(thrown);
  const hasLeft = arrival.clientLeft.aborted;
  try {
    report(error, failing);
    if (hasLeft) record?.answered(CLIENT_CLOSED_REQUEST, 'client_left');
    else record?.answered(statusOf(error.code), error.code);
  } catch {
    // A log that fails must not cost the caller the answer.
  }
  if (hasLeft) return withCorrelationHeaders({ status: CLIENT_CLOSED_REQUEST }, arrival);
  return withHeaders(problemResponse(error, arrival), arrival.extraHeaders);
}

/** One line for each failure. A service that could not be configured has told so itself. */
function report(error: ServiceError, { arrival, telemetry, context }: FailedRequest): void {
  const { code, cause } = error;
  if (arrival.clientLeft.aborted) {
    telemetry?.info('client left', { ...elapsed(arrival), code, cause: describeError(cause) });
  } else if (telemetry !== undefined) {
    reportFailure(telemetry, { message: 'request failed', error, fields: elapsed(arrival) });
  } else if (code === 'internal') {
    context.error('service failed to start', describeError(cause), stackFrames(cause));
  }
}

function elapsed({ startedAt }: RequestStart): { readonly durationMs: number } {
  return { durationMs: Math.round(performance.now() - startedAt) };
}

/**
 * The response itself, when it can be written to a socket. The platform does not answer at all when
 * it finds that out later.
 * @throws RangeError or TypeError
 */
export function assertValidResponse(response: PlainResponse): PlainResponse {
  const { status = 200, headers = {} } = response;
  if (!Number.isInteger(status) || status < 200 || status > 599) {
    throw new RangeError(
      `Cannot answer as 'status' must be a whole number from 200 to 599: current value is ${status}`,
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

/** One line for one failure, at the level of who must act. Defects also say where they happened. */
export function reportFailure(telemetry: Telemetry, { message, error, fields }: Failure): void {
  const { code, cause } = error;
  const known = { ...fields, code, cause: describeError(cause) };
  if (code === 'internal') telemetry.error(message, { ...known, place: stackFrames(cause) });
  else telemetry[statusOf(code) < 500 ? 'info' : 'warn'](message, known);
}
