import type {
  HttpHandler,
  HttpRequest,
  HttpResponseInit,
  InvocationContext,
} from '@azure/functions';
import { toServiceError, type ServiceError } from '../errors.ts';
import { describeCause, describePlace } from '../telemetry/describe-cause.ts';
import type { Telemetry } from '../telemetry/telemetry.ts';
import { ClientLeftError, connectionOf, trackConnections, type Connection } from './connections.ts';
import type { Answer, Exchange, PipelineNeeds } from './exchange.ts';
import { readJson } from './read-json.ts';
import { refuseShadowingQuery } from './refuse-shadowing.ts';
import { problemResponse, withQuotable } from './respond.ts';
import { requestIdOf, traceIdOf, traceparentOf } from './trace-context.ts';

/** nginx's number for a client that left; nobody is there to read it. */
const CLIENT_LEFT_STATUS = 499;

/**
 * Wraps an answer as a handler of the platform. With HTTP streaming on, a handler that throws or
 * returns nothing never answers at all, so every failure becomes a response here.
 */
export function asHttpHandler<Needs extends PipelineNeeds>(
  getService: () => Promise<Needs>,
  answer: Answer<Needs>,
): HttpHandler {
  trackConnections();
  return async (request, context) => {
    const startedAt = performance.now();
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
      const response = withQuotable(await answer(exchange, service), arrival);
      report(telemetry, { response, startedAt });
      return response;
    } catch (thrown) {
      if (thrown instanceof ClientLeftError) {
        telemetry?.info('client left', { durationMs: since(startedAt) });
        return withQuotable({ status: CLIENT_LEFT_STATUS }, arrival);
      }
      const error = toServiceError(thrown);
      const response = problemResponse(error, arrival);
      report(telemetry, { response, startedAt, error });
      return response;
    }
  };
}

interface Arrival {
  readonly requestId: string;
  readonly traceparent: string;
  readonly connection: Connection | undefined;
  readonly header: (name: string) => string | undefined;
}

function arrive(request: HttpRequest, context: InvocationContext): Arrival {
  const connection = connectionOf(context.invocationId);
  const header = (name: string): string | undefined => {
    if (connection === undefined) return request.headers.get(name) ?? undefined;
    const value = connection.headers[name];
    return Array.isArray(value) ? value.join(', ') : value;
  };
  return {
    requestId: requestIdOf(header('x-request-id')),
    traceparent: traceparentOf(context.traceContext?.traceParent, header('traceparent')),
    connection,
    header,
  };
}

interface Parts {
  readonly request: HttpRequest;
  readonly service: PipelineNeeds;
  readonly telemetry: Telemetry;
}

function openExchange(arrival: Arrival, { request, service, telemetry }: Parts): Exchange {
  return {
    ...arrival,
    request,
    telemetry,
    clientLeft: arrival.connection?.clientLeft ?? new AbortController().signal,
    readJson: () => readJson({ request, header: arrival.header }, service.maxRequestBytes),
  };
}

interface Outcome {
  readonly response: HttpResponseInit;
  readonly startedAt: number;
  readonly error?: ServiceError;
}

/** One line for each request. A service that could not be made has told so itself. */
function report(telemetry: Telemetry | undefined, { response, startedAt, error }: Outcome): void {
  const status = response.status ?? 200;
  const fields = { status, durationMs: since(startedAt) };
  if (error === undefined) {
    telemetry?.info('request answered', fields);
  } else if (error.code === 'internal') {
    const place = describePlace(error.cause);
    telemetry?.error('request failed', {
      ...fields,
      code: error.code,
      cause: describeCause(error.cause),
      place,
    });
  } else {
    const level = status < 500 ? 'info' : 'warn';
    telemetry?.[level]('request failed', {
      ...fields,
      code: error.code,
      cause: describeCause(error.cause),
    });
  }
}

function since(startedAt: number): number {
  return Math.round(performance.now() - startedAt);
}
