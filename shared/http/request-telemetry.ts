import { ATTRIBUTES, SPANS } from '../telemetry/spans.ts';
import type { Telemetry } from '../telemetry/telemetry.ts';

interface RecordedRequest {
  readonly method: string;
  /** The template of the route: the number of paths is unlimited. */
  readonly route: string;
  readonly requestId: string;
  readonly traceparent: string;
  /** A value of `performance.now()`. */
  readonly startedAt: number;
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
  let isStream = false;
  let status: number | undefined;
  let isEnded = false;
  const callbacks: (() => void)[] = [];

  function end(code?: string): void {
    if (isEnded) return;
    isEnded = true;
    for (const callback of callbacks) callback();
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
