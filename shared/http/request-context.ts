import type { HttpRequest } from '@azure/functions';
import { randomBytes } from 'node:crypto';
import type { ClientConnection } from './client-connection.ts';
import type { PlainResponse } from './responses.ts';
import type { Reservation } from '../rate-limit/rate-limiter.ts';
import type { Telemetry } from '../telemetry/telemetry.ts';

/** One request on its way through the service, with everything an answer may need of it. */
export interface RequestContext {
  readonly requestId: string;
  readonly traceparent: string;
  readonly request: HttpRequest;
  /** One header as it came over the wire, or undefined. */
  readonly header: (name: string) => string | undefined;
  /** Undefined only where the host does not stream. */
  readonly connection: ClientConnection | undefined;
  /** Aborts when the client is gone. */
  readonly clientLeft: AbortSignal;
  readonly telemetry: Telemetry;
  /**
   * To be called where the answer goes on after its headers. What it returns is to be called when
   * the answer has ended, with a code if it failed.
   */
  readonly streams: () => (code?: string) => void;
  /** Headers for the answer, whatever it will be: a refusal, a failure or a stream. */
  readonly addHeaders: (headers: Readonly<Record<string, string>>) => void;
  /**
   * The body as checked JSON.
   * @throws ServiceError when it is not JSON, too large, ambiguous or wrongly encoded
   */
  readJson(): Promise<unknown>;
}

/** A request of somebody who is known. */
export interface CallerContext extends RequestContext {
  /**
   * The scope of everything that belongs to one caller. A hash: it names nobody. To be asked for
   * after the body has been read, where there is one: until then it throws.
   */
  readonly callerId: string;
  /**
   * To be called by a route that reads something else than JSON, as soon as that is certain and
   * before it is used: only then is it known whose request it is, and it is counted.
   * @throws ServiceError rate_limited
   */
  bodyIsNoJson(): Promise<void>;
}

/** A request whose tokens have yet to be taken out of its caller's limits. */
export interface MeteredContext extends CallerContext {
  /**
   * Takes the request and the tokens that it may use.
   * @throws ServiceError rate_limited, budget_exhausted or context_too_long
   */
  reserve(tokens: number): Promise<Reservation>;
}

/** What answers one route, given the parts of the service that it needs. */
export type RouteHandler<Needs> = (
  exchange: RequestContext,
  needs: Needs,
) => Promise<PlainResponse>;

/** What the pipeline itself needs of the service. */
export interface HandlerDependencies {
  readonly telemetry: Telemetry;
  readonly maxRequestBytes: number;
}

const TRACEPARENT = /^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/;
const REQUEST_ID = /^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$/;

/**
 * The W3C trace context of a request: the host's when its telemetry is on, else the caller's,
 * else a new one.
 */
export function traceparentOf(
  fromHost: string | undefined,
  fromCaller: string | undefined,
): string {
  if (fromHost !== undefined && TRACEPARENT.test(fromHost)) return fromHost;
  if (fromCaller !== undefined && TRACEPARENT.test(fromCaller)) return fromCaller;
  return `00-${randomBytes(16).toString('hex')}-${randomBytes(8).toString('hex')}-01`;
}

/** The caller's request id when it is harmless, else a new one. */
export function requestIdOf(fromCaller: string | undefined): string {
  return fromCaller !== undefined && REQUEST_ID.test(fromCaller) ? fromCaller : crypto.randomUUID();
}

/** What a log line says about its place in a trace. */
export function traceFieldsOf(traceparent: string) {
  return { traceId: traceparent.slice(3, 35), spanId: traceparent.slice(36, 52) };
}

/**
 * The `{id}` of a route that wants no body. Its own value wins over anything of that name in query
 * or body. A body that came all the same is read: the platform may have taken headers out of it,
 * and one that tries that is refused.
 * @throws ServiceError
 */
export async function routeId(exchange: RequestContext): Promise<string> {
  await assertNoBody(exchange);
  return exchange.request.params['id'] ?? '';
}

/** @throws ServiceError for a body that could have changed what the request says about itself */
export async function assertNoBody(exchange: RequestContext): Promise<void> {
  if (Number(exchange.header('content-length') ?? 0) > 0) await exchange.readJson();
}
