import type { IncomingMessage, ServerResponse } from 'node:http';
import type { HttpFunction } from '../app-functions.ts';
import type { WriteLog } from '../host-log.ts';
import type { Invoker } from '../invoker.ts';
import type { OutputWriter } from '../queue/output-writer.ts';
import type { HostTimings } from '../timings.ts';
import type { Answers } from './answer.ts';
import type { RequestHeaders } from './request-headers.ts';
import type { RequestTarget } from './request-target.ts';

/** What serving a function over HTTP needs. */
export interface HttpContext {
  readonly invoker: Invoker;
  readonly answers: Answers;
  readonly outputs: OutputWriter;
  readonly timings: HostTimings;
  readonly log: WriteLog;
  /** In bytes. */
  readonly maxBody: number;
}

/** One request on its way to a function. */
export interface HttpCall {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly headers: RequestHeaders;
  readonly target: RequestTarget;
  readonly func: HttpFunction;
  readonly routeValues: Readonly<Record<string, string>>;
}
