import { ATTRIBUTES, SPANS } from '../telemetry/span-names.ts';
import type { Span, Telemetry } from '../telemetry/telemetry.ts';
import { safeCode } from './error-body.ts';
import type { ModelEndpoint } from './endpoint.ts';
import type { Send, UpstreamRequest, UpstreamResponse } from './transport.ts';

export interface TransportTracing {
  readonly endpoint: ModelEndpoint;
  readonly telemetry: Telemetry;
}

/**
 * The same transport, each exchange of which is a span until the end of its body. The upstream gets
 * that span as its parent, so a request never carries two trace contexts.
 */
export function traceTransport(send: Send, { endpoint, telemetry }: TransportTracing): Send {
  return async (request) => {
    const span = telemetry.startSpan(SPANS.http('POST', request.url.pathname), {
      kind: 'client',
      parent: request.headers['traceparent'],
      attributes: {
        ...addressOf(request.url),
        [ATTRIBUTES.httpMethod]: 'POST',
        [ATTRIBUTES.requestModel]: endpoint.model,
        [ATTRIBUTES.endpoint]: endpoint.name,
      },
    });
    try {
      const response = await send(withTraceparent(request, span.traceparent));
      endWithBody(span, response);
      return response;
    } catch (thrown) {
      span.end(request.signal.aborted ? 'aborted' : codeOf(thrown));
      throw thrown;
    }
  };
}

function addressOf({ href, hostname, pathname, protocol }: URL) {
  return {
    [ATTRIBUTES.serverAddress]: hostname,
    [ATTRIBUTES.urlFull]: href,
    [ATTRIBUTES.urlPath]: pathname,
    [ATTRIBUTES.urlScheme]: protocol.slice(0, -1),
  };
}

function withTraceparent(
  request: UpstreamRequest,
  traceparent: string | undefined,
): UpstreamRequest {
  if (traceparent === undefined) return request;
  return { ...request, headers: { ...request.headers, traceparent } };
}

function endWithBody(span: Span, { status, body }: UpstreamResponse): void {
  span.set({ [ATTRIBUTES.statusCode]: status });
  body.once('close', () => {
    if (status >= 400) span.end(String(status));
    else span.end(body.readableEnded ? undefined : codeOf(body.errored));
  });
}

function codeOf(thrown: unknown): string {
  const code = thrown instanceof Error && 'code' in thrown ? safeCode(thrown.code) : undefined;
  return code ?? 'aborted';
}
