import { ATTRIBUTES, SPANS } from '../telemetry/spans.ts';
import type { Span, Telemetry } from '../telemetry/telemetry.ts';
import { safeCode } from './openai/error-body.ts';
import type { ModelEndpoint } from './endpoint.ts';
import type { Send, UpstreamRequest, UpstreamResponse } from './transport.ts';

export interface SendTracing {
  readonly endpoint: ModelEndpoint;
  readonly address: string;
  readonly telemetry: Telemetry;
}

/**
 * The same way, each exchange on which is a span until the end of its body. The upstream gets that
 * span as its parent, so a request never carries two trace contexts.
 */
export function traceSend(send: Send, { endpoint, address, telemetry }: SendTracing): Send {
  const url = URL.parse(address);
  if (url === null) return send;
  const name = SPANS.http('POST', url.pathname);
  const attributes = {
    [ATTRIBUTES.serverAddress]: url.hostname,
    [ATTRIBUTES.urlFull]: url.origin + url.pathname,
    [ATTRIBUTES.urlPath]: url.pathname,
    [ATTRIBUTES.urlScheme]: url.protocol.slice(0, -1),
    [ATTRIBUTES.httpMethod]: 'POST',
    [ATTRIBUTES.requestModel]: endpoint.model,
    [ATTRIBUTES.endpoint]: endpoint.name,
  };
  return async (request) => {
    const parent = request.headers['traceparent'];
    const span = telemetry.startSpan(name, { kind: 'client', parent, attributes });
    try {
      const response = await send(withTraceparent(request, span.traceparent));
      endWithBody(span, response);
      return response;
    } catch (thrown) {
      span.end(request.signal.aborted ? 'aborted' : (codeOf(thrown) ?? '_OTHER'));
      throw thrown;
    }
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
    // A body that is closed without an error was left by its reader.
    else span.end(body.readableEnded ? undefined : (codeOf(body.errored) ?? 'aborted'));
  });
}

/** The system's word for it, as semantic conventions want it in `error.type`. */
function codeOf(thrown: unknown): string | undefined {
  return thrown instanceof Error && 'code' in thrown ? safeCode(thrown.code) : undefined;
}
