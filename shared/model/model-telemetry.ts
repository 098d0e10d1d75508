import { ServiceError } from '../errors.ts';
import type { ModelEndpoint } from './endpoint.ts';
import type { HttpPost, HttpPostRequest, HttpPostResponse } from './http-client.ts';
import type { ModelResponse } from './model.ts';
import type { EndpointCall, EndpointClient } from './openai/chat-completions-client.ts';
import { safeCode } from './openai/map-error.ts';
import type { EndpointEvent } from './openai/read-stream.ts';
import { UpstreamCause } from './upstream-error.ts';
import { ATTRIBUTES, SPANS } from '../telemetry/spans.ts';
import type { Span, Telemetry } from '../telemetry/telemetry.ts';

/** What a million tokens cost; without them nothing is said about costs. */
export interface Prices {
  readonly inputPerMillion?: number | undefined;
  readonly outputPerMillion?: number | undefined;
}

export interface TracingOptions {
  readonly endpoint: ModelEndpoint;
  readonly telemetry: Telemetry;
  readonly prices?: Prices | undefined;
}

const MILLION = 1_000_000;

/** The same endpoint, each call of which is a span and counts as duration, tokens and cost. */
export function tracedEndpointClient(
  client: EndpointClient,
  options: TracingOptions,
): EndpointClient {
  return {
    async complete(request, call) {
      const trace = startCallSpan(options, call);
      try {
        const answer = await client.complete(request, trace.call);
        trace.succeed(answer);
        return answer;
      } catch (thrown) {
        trace.fail(thrown);
        throw thrown;
      }
    },
    async *stream(request, call) {
      const trace = startCallSpan(options, call);
      try {
        for await (const event of client.stream(request, trace.call)) {
          trace.hear(event);
          yield event;
        }
      } catch (thrown) {
        trace.fail(thrown);
        throw thrown;
      } finally {
        trace.leave();
      }
    },
  };
}

interface CallSpan {
  /** The same call, whose trace goes on under the span. */
  readonly call: EndpointCall;
  hear(event: EndpointEvent): void;
  succeed(answer: ModelResponse): void;
  fail(thrown: unknown): void;
  /** Nobody wants the rest. */
  leave(): void;
}

function startCallSpan(options: TracingOptions, call: EndpointCall): CallSpan {
  const { endpoint, telemetry } = options;
  const startedAt = performance.now();
  const labels = labelsOf(endpoint);
  const span = telemetry.startSpan(SPANS.chat(endpoint.model), {
    kind: 'client',
    parent: call.traceparent,
    attributes: { ...labels, [ATTRIBUTES.endpoint]: endpoint.name },
  });
  let lastChunkAt: number | undefined;
  let isOpen = true;

  function end(code?: string): void {
    isOpen = false;
    // A stream that nobody reads any more does not come to its end; its signal aborts nevertheless.
    call.signal.removeEventListener('abort', leave);
    const error = code === undefined ? {} : { 'error.type': code };
    telemetry.record('operationDuration', secondsSince(startedAt), { ...labels, ...error });
    span.end(code);
  }
  function leave(): void {
    if (isOpen) end(errorTypeOf(call.signal.reason));
  }
  function succeed(answer: ModelResponse): void {
    if (!isOpen) return;
    recordUsage(answer, { ...options, labels, span });
    end();
  }
  call.signal.addEventListener('abort', leave, { once: true });

  return {
    call: { ...call, traceparent: span.traceparent },
    hear(event) {
      if (event.type === 'answer') succeed(event.answer);
      if (event.type !== 'text') return;
      if (lastChunkAt === undefined) {
        const waited = secondsSince(startedAt);
        telemetry.record('timeToFirstChunk', waited, labels);
        span.set({ [ATTRIBUTES.timeToFirstChunk]: waited });
      } else telemetry.record('timePerOutputChunk', secondsSince(lastChunkAt), labels);
      lastChunkAt = performance.now();
    },
    succeed,
    fail(thrown) {
      if (!isOpen) return;
      span.set({ [ATTRIBUTES.statusCode]: statusOf(thrown) });
      end(errorTypeOf(thrown));
    },
    leave,
  };
}

function labelsOf({ kind, model }: ModelEndpoint) {
  return {
    'gen_ai.operation.name': 'chat',
    'gen_ai.provider.name': kind === 'azure' ? 'azure.ai.openai' : 'openai',
    'gen_ai.request.model': model,
  } as const;
}

interface UsageReport extends TracingOptions {
  readonly labels: ReturnType<typeof labelsOf>;
  readonly span: Span;
}

function recordUsage(
  answer: ModelResponse,
  { telemetry, prices, labels, span }: UsageReport,
): void {
  const { inputTokens, outputTokens } = answer.usage;
  telemetry.record('tokenUsage', inputTokens, { ...labels, 'gen_ai.token.type': 'input' });
  telemetry.record('tokenUsage', outputTokens, { ...labels, 'gen_ai.token.type': 'output' });
  const { inputPerMillion, outputPerMillion } = prices ?? {};
  if (inputPerMillion !== undefined || outputPerMillion !== undefined) {
    const cost =
      (inputTokens * (inputPerMillion ?? 0) + outputTokens * (outputPerMillion ?? 0)) / MILLION;
    telemetry.count('modelCost', cost, { 'gen_ai.request.model': labels['gen_ai.request.model'] });
  }
  span.set({
    [ATTRIBUTES.responseModel]: answer.model,
    [ATTRIBUTES.finishReasons]: [answer.finishReason],
    [ATTRIBUTES.inputTokens]: inputTokens,
    [ATTRIBUTES.outputTokens]: outputTokens,
  });
}

function errorTypeOf(thrown: unknown): string {
  return thrown instanceof ServiceError ? thrown.code : 'aborted';
}

function statusOf(thrown: unknown): number | undefined {
  const cause = thrown instanceof Error ? thrown.cause : undefined;
  return cause instanceof UpstreamCause ? cause.status : undefined;
}

function secondsSince(startedAt: number): number {
  return (performance.now() - startedAt) / 1_000;
}

export interface TracedPostOptions {
  readonly endpoint: ModelEndpoint;
  readonly address: string;
  readonly telemetry: Telemetry;
}

/**
 * The same way, each exchange on which is a span until the end of its body. The upstream gets that
 * span as its parent, so a request never carries two trace contexts.
 */
export function tracedPost(
  send: HttpPost,
  { endpoint, address, telemetry }: TracedPostOptions,
): HttpPost {
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
      span.end(request.signal.aborted ? 'aborted' : (transportErrorType(thrown) ?? '_OTHER'));
      throw thrown;
    }
  };
}

function withTraceparent(
  request: HttpPostRequest,
  traceparent: string | undefined,
): HttpPostRequest {
  if (traceparent === undefined) return request;
  return { ...request, headers: { ...request.headers, traceparent } };
}

function endWithBody(span: Span, { status, body }: HttpPostResponse): void {
  span.set({ [ATTRIBUTES.statusCode]: status });
  body.once('close', () => {
    if (status >= 400) span.end(String(status));
    // A body that is closed without an error was left by its reader.
    else span.end(body.readableEnded ? undefined : (transportErrorType(body.errored) ?? 'aborted'));
  });
}

/** The system's word for it, as semantic conventions want it in `error.type`. */
function transportErrorType(thrown: unknown): string | undefined {
  return thrown instanceof Error && 'code' in thrown ? safeCode(thrown.code) : undefined;
}
