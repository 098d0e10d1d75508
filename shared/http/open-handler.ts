import type {
  HttpHandler,
  HttpRequest,
  HttpResponseInit,
  InvocationContext,
} from '@azure/functions';
import { toServiceError, type ServiceError } from '../errors.ts';
import { describeCause, describePlace } from '../telemetry/describe-cause.ts';
import type { Telemetry } from '../telemetry/telemetry.ts';
import { takeConnection, trackConnections, type Connection } from './connections.ts';
import type { Answer, Exchange, PipelineNeeds } from './exchange.ts';
import { readJson } from './read-json.ts';
import { refuseShadowingQuery } from './refuse-shadowing.ts';
import { reportFailure } from './report-failure.ts';
import { problemResponse, withHeaders, withQuotable } from './respond.ts';
import { sendable } from './sendable.ts';
import { requestIdOf, traceIdOf, traceparentOf } from './trace-context.ts';

/** nginx's number for a client that left; nobody is there to read it. */
const CLIENT_LEFT_STATUS = 499;

/**
 * Wraps an answer as a handler of the platform, for a route that anybody may call. With HTTP
 * streaming on, a handler that throws or returns nothing never answers at all, so every failure
 * becomes a response here.
 */
export function asOpenHandler<Needs extends PipelineNeeds>(
  getService: () => Promise<Needs>,
  answer: Answer<Needs>,
): HttpHandler {
  trackConnections();
  return async (request, context) => {
    const arrival = arrive(request, context);
    let telemetry: Telemetry | undefined;
    try {
      refuseShadowingQuery(request);
      const service = await getService();
      telemetry = service.telemetry.with({
        requestId: arrival.requestId,
        traceId: traceIdOf(arrival.traceparent),
        route: context.functionName,
      });
      const exchange = openExchange(arrival, { request, service, telemetry });
      const answered = withHeaders(await answer(exchange, service), arrival.extraHeaders);
      const response = sendable(withQuotable(answered, arrival));
      telemetry.info('request answered', { status: response.status ?? 200, ...age(arrival) });
      return response;
    } catch (thrown) {
      return answerFailure(thrown, { arrival, telemetry, context });
    }
  };
}

interface Arrival {
  readonly startedAt: number;
  readonly requestId: string;
  readonly traceparent: string;
  readonly connection: Connection | undefined;
  readonly clientLeft: AbortSignal;
  /** What any answer to this request carries besides its own. */
  readonly extraHeaders: Record<string, string>;
  readonly header: (name: string) => string | undefined;
}

function arrive(request: HttpRequest, context: InvocationContext): Arrival {
  const connection = takeConnection(context.invocationId);
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

interface Parts {
  readonly request: HttpRequest;
  readonly service: PipelineNeeds;
  readonly telemetry: Telemetry;
}

function openExchange(arrival: Arrival, { request, service, telemetry }: Parts): Exchange {
  const { extraHeaders, ...known } = arrival;
  return {
    ...known,
    request,
    telemetry,
    addHeaders: (headers) => void Object.assign(extraHeaders, headers),
    readJson: () => readJson({ request, header: arrival.header }, service.maxRequestBytes),
  };
}

interface Failing {
  readonly arrival: Arrival;
  /** Undefined while there is no service yet. */
  readonly telemetry: Telemetry | undefined;
  readonly context: InvocationContext;
}

function answerFailure(thrown: unknown, failing: Failing): HttpResponseInit {
  const { arrival } = failing;
  const error = toServiceError(thrown);
  try {
    report(error, failing);
  } catch {
    // A log that fails must not cost the caller the answer.
  }
  if (arrival.clientLeft.aborted) return withQuotable({ status: CLIENT_LEFT_STATUS }, arrival);
  return withHeaders(problemResponse(error, arrival), arrival.extraHeaders);
}

/** One line for each failure. A service that could not be configured has told so itself. */
function report(error: ServiceError, { arrival, telemetry, context }: Failing): void {
  const { code, cause } = error;
  if (arrival.clientLeft.aborted) {
    telemetry?.info('client left', { ...age(arrival), code, cause: describeCause(cause) });
  } else if (telemetry !== undefined) {
    reportFailure(telemetry, { message: 'request failed', error, fields: age(arrival) });
  } else if (code === 'internal') {
    context.error('service failed to start', describeCause(cause), describePlace(cause));
  }
}

function age({ startedAt }: Arrival): { readonly durationMs: number } {
  return { durationMs: Math.round(performance.now() - startedAt) };
}
