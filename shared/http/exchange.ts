import type { HttpRequest } from '@azure/functions';
import type { Telemetry } from '../telemetry/telemetry.ts';
import type { Connection } from './connections.ts';
import type { PlainResponse } from './respond.ts';

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
   * The body as checked JSON.
   * @throws ServiceError when it is not JSON, too large, ambiguous or wrongly encoded
   */
  readJson(): Promise<unknown>;
}

/** What answers one route, given the parts of the service that it needs. */
export type Answer<Needs> = (exchange: Exchange, needs: Needs) => Promise<PlainResponse>;

/** What the pipeline itself needs of the service. */
export interface PipelineNeeds {
  readonly telemetry: Telemetry;
  readonly maxRequestBytes: number;
}
