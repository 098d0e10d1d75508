import type { HttpRequest } from '@azure/functions';
import type { Reservation } from '../rate-limit/rate-limiter.ts';
import type { Telemetry } from '../telemetry/telemetry.ts';
import type { Connection } from './client-connection.ts';
import type { PlainResponse } from './responses.ts';

/** One request on its way through the service, with everything an answer may need of it. */
export interface Exchange {
  readonly requestId: string;
  readonly traceparent: string;
  readonly request: HttpRequest;
  /** One header as it came over the wire, or undefined. */
  readonly header: (name: string) => string | undefined;
  /** Undefined only where the host does not stream. */
  readonly connection: Connection | undefined;
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
export interface CallerExchange extends Exchange {
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
export interface MeteredExchange extends CallerExchange {
  /**
   * Takes the request and the tokens that it may use.
   * @throws ServiceError rate_limited, budget_exhausted or context_too_long
   */
  reserve(tokens: number): Promise<Reservation>;
}

/** What answers one route, given the parts of the service that it needs. */
export type Answer<Needs> = (exchange: Exchange, needs: Needs) => Promise<PlainResponse>;

/** What the pipeline itself needs of the service. */
export interface PipelineNeeds {
  readonly telemetry: Telemetry;
  readonly maxRequestBytes: number;
}
