import { ATTRIBUTES, SPANS } from '../telemetry/spans.ts';
import type { Telemetry } from '../telemetry/telemetry.ts';

export interface RecordedRequest {
  readonly method: string;
  /** The template of the route: the path itself may hold ids without end. */
  readonly route: string;
  readonly requestId: string;
  readonly traceparent: string;
  /** By the clock of `performance`. */
  readonly startedAt: number;
}

/** What becomes of a request, as one span and one measurement. */
export interface RequestRecord {
  /** The request's own place in its trace. */
  readonly traceparent: string;
  /** The answer goes on after its status: the request ends when what is returned is called. */
  readonly streams: () => (code?: string) => void;
  /** The status is known, and the code where the request failed. */
  answered(status: number, code?: string): void;
}

export function startRequestRecord(telemetry: Telemetry, request: RecordedRequest): RequestRecord {
  const { method, route, startedAt } = request;
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
  let isStream = false;
  let status: number | undefined;
  let isOver = false;

  function end(code?: string): void {
    if (isOver) return;
    isOver = true;
    const statusCode = status ?? 200;
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
    traceparent: span.traceparent ?? request.traceparent,
    streams() {
      isStream = true;
      return end;
    },
    answered(known, code) {
      status = known;
      // What failed before its stream began does not stream.
      if (code !== undefined) isStream = false;
      if (!isStream) end(code);
    },
  };
}
