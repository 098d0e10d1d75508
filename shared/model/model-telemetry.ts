import { ServiceError } from '../errors.ts';
import {
  createPartialUsage,
  type ModelEndpoint,
  type ModelRequest,
  type ModelResponse,
  type TokenUsage,
} from './model.ts';
import type { HttpClient, HttpPostRequest, HttpPostResponse } from './http-client.ts';
import type { EndpointCall, EndpointClient } from './openai/chat-completions-client.ts';
import { safeCode } from './openai/map-error.ts';
import type { EndpointEvent } from './openai/read-stream.ts';
import { UpstreamCause } from './upstream-error.ts';
import { ATTRIBUTES, SPANS } from '../telemetry/spans.ts';
import type { Span, Telemetry } from '../telemetry/telemetry.ts';

/** Prices of a million tokens. Without them no cost is recorded. */
export interface Prices {
  readonly inputPerMillion?: number | undefined;
  /** The price of input tokens where undefined. */
  readonly cachedInputPerMillion?: number | undefined;
  readonly outputPerMillion?: number | undefined;
}

export interface TracingOptions {
  readonly endpoint: ModelEndpoint;
  readonly telemetry: Telemetry;
  readonly prices?: Prices | undefined;
}

const MILLION = 1_000_000;

/** Adds a span and metrics (duration, tokens, cost) to each call. */
export function tracedEndpointClient(
  client: EndpointClient,
  options: TracingOptions,
): EndpointClient {
  return {
    async complete(request, call) {
      const trace = startCallSpan(options, { request, call });
      try {
        const response = await client.complete(request, trace.call);
        trace.succeed(response);
        return response;
      } catch (thrown) {
        trace.fail(thrown);
        throw thrown;
      }
    },
    async *stream(request, call) {
      const trace = startCallSpan(options, { request, call });
      try {
        for await (const event of client.stream(request, trace.call)) {
          trace.observe(event);
          yield event;
        }
      } catch (thrown) {
        trace.fail(thrown);
        throw thrown;
      } finally {
        trace.abandon();
      }
    },
  };
}

interface CallSpan {
  /** The same call with the span as its parent. */
  readonly call: EndpointCall;
  observe(event: EndpointEvent): void;
  succeed(response: ModelResponse): void;
  fail(thrown: unknown): void;
  /** Ends the span of a call that was abandoned. */
  abandon(): void;
}

interface TracedCall {
  readonly request: ModelRequest;
  readonly call: EndpointCall;
}

function startCallSpan(options: TracingOptions, { request, call }: TracedCall): CallSpan {
  const { endpoint, telemetry } = options;
  const startedAt = performance.now();
  const labels = labelsOf(endpoint);
  const span = telemetry.startSpan(SPANS.chat(endpoint.model), {
    kind: 'client',
    parent: call.traceparent,
    attributes: { ...labels, [ATTRIBUTES.endpoint]: endpoint.name },
  });
  const partial = createPartialUsage(request);
  let previousChunkAt: number | undefined;
  let isOpen = true;

  function end(code?: string): void {
    isOpen = false;
    call.signal.removeEventListener('abort', abandon);
    const error = code === undefined ? {} : { 'error.type': code };
    telemetry.record('operationDuration', secondsSince(startedAt), { ...labels, ...error });
    span.end(code);
  }
  // A generator that is not resumed never reaches its end, but its signal aborts.
  function abandon(): void {
    if (!isOpen) return;
    reportPartialUsage();
    end(errorTypeOf(call.signal.reason));
  }
  function reportPartialUsage(): void {
    const usage = partial.read();
    if (usage === undefined) return;
    recordUsage(usage, { ...options, labels, span });
    call.onPartialUsage?.(usage);
  }
  function succeed(response: ModelResponse): void {
    if (!isOpen) return;
    recordUsage(response.usage, { ...options, labels, span });
    describeResponse(span, response);
    end();
  }
  call.signal.addEventListener('abort', abandon, { once: true });

  return {
    call: { ...call, traceparent: span.traceparent, onSent: partial.markSent },
    observe(event) {
      if (event.type === 'done') succeed(event.response);
      else partial.addOutput(event);
      if (event.type !== 'text-delta') return;
      if (previousChunkAt === undefined) {
        const waited = secondsSince(startedAt);
        telemetry.record('timeToFirstChunk', waited, labels);
        span.set({ [ATTRIBUTES.timeToFirstChunk]: waited });
      } else telemetry.record('timePerOutputChunk', secondsSince(previousChunkAt), labels);
      previousChunkAt = performance.now();
    },
    succeed,
    fail(thrown) {
      if (!isOpen) return;
      // An endpoint charges nothing for an error that it answers with, but for what it began to send.
      if (partial.hasOutput()) reportPartialUsage();
      span.set({ [ATTRIBUTES.statusCode]: statusOf(thrown) });
      end(errorTypeOf(thrown));
    },
    abandon,
  };
}

function labelsOf({ kind, model }: ModelEndpoint) {
  return {
    'gen_ai.operation.name': 'chat',
    'gen_ai.provider.name': kind === 'azure' ? 'azure.ai.openai' : 'openai',
    'gen_ai.request.model': model,
  } as const;
}

function describeResponse(span: Span, { model, finishReason }: ModelResponse): void {
  span.set({ [ATTRIBUTES.responseModel]: model, [ATTRIBUTES.finishReasons]: [finishReason] });
}

interface UsageReport extends TracingOptions {
  readonly labels: ReturnType<typeof labelsOf>;
  readonly span: Span;
}

function recordUsage(usage: TokenUsage, { telemetry, prices, labels, span }: UsageReport): void {
  const { inputTokens, outputTokens, cachedInputTokens } = usage;
  telemetry.record('tokenUsage', inputTokens, { ...labels, 'gen_ai.token.type': 'input' });
  telemetry.record('tokenUsage', outputTokens, { ...labels, 'gen_ai.token.type': 'output' });
  const cost = costOf(usage, prices);
  if (cost !== undefined) {
    telemetry.count('modelCost', cost, { 'gen_ai.request.model': labels['gen_ai.request.model'] });
  }
  span.set({
    [ATTRIBUTES.inputTokens]: inputTokens,
    [ATTRIBUTES.outputTokens]: outputTokens,
    ...(cachedInputTokens === undefined
      ? {}
      : { [ATTRIBUTES.cachedInputTokens]: cachedInputTokens }),
  });
}

/** Undefined without prices. */
function costOf(usage: TokenUsage, prices: Prices = {}): number | undefined {
  const { inputPerMillion, outputPerMillion } = prices;
  const cachedPerMillion = prices.cachedInputPerMillion ?? inputPerMillion;
  if ([inputPerMillion, cachedPerMillion, outputPerMillion].every((one) => one === undefined)) {
    return undefined;
  }
  const { inputTokens, outputTokens, cachedInputTokens = 0 } = usage;
  const total =
    (inputTokens - cachedInputTokens) * (inputPerMillion ?? 0) +
    cachedInputTokens * (cachedPerMillion ?? 0) +
    outputTokens * (outputPerMillion ?? 0);
  return total / MILLION;
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

/**
 * Adds a span to each request, which ends with the body of the response. The span replaces the
 * trace context of the request, so that the endpoint sees it as its parent.
 */
export function tracedHttpClient(
  client: HttpClient,
  { endpoint, telemetry }: Pick<TracingOptions, 'endpoint' | 'telemetry'>,
): HttpClient {
  // An endpoint has one address.
  let last: ReturnType<typeof describeAddress>;
  return {
    async post(request) {
      const { address } = request;
      if (last?.address !== address) last = describeAddress(address, endpoint);
      if (last === undefined) return client.post(request);
      const parent = request.headers['traceparent'];
      const { name, attributes } = last;
      const span = telemetry.startSpan(name, { kind: 'client', parent, attributes });
      try {
        const response = await client.post(withTraceparent(request, span.traceparent));
        endSpanWithBody(span, response);
        return response;
      } catch (thrown) {
        span.end(request.signal.aborted ? 'aborted' : (transportErrorType(thrown) ?? '_OTHER'));
        throw thrown;
      }
    },
  };
}

/** Undefined for an address that is none. */
function describeAddress(address: string, endpoint: ModelEndpoint) {
  const url = URL.parse(address);
  if (url === null) return undefined;
  const attributes = {
    [ATTRIBUTES.serverAddress]: url.hostname,
    [ATTRIBUTES.urlFull]: url.origin + url.pathname,
    [ATTRIBUTES.urlPath]: url.pathname,
    [ATTRIBUTES.urlScheme]: url.protocol.slice(0, -1),
    [ATTRIBUTES.httpMethod]: 'POST',
    [ATTRIBUTES.requestModel]: endpoint.model,
    [ATTRIBUTES.endpoint]: endpoint.name,
  };
  return { address, attributes, name: SPANS.http('POST', url.pathname) };
}

function withTraceparent(
  request: HttpPostRequest,
  traceparent: string | undefined,
): HttpPostRequest {
  if (traceparent === undefined) return request;
  return { ...request, headers: { ...request.headers, traceparent } };
}

function endSpanWithBody(span: Span, { status, body }: HttpPostResponse): void {
  span.set({ [ATTRIBUTES.statusCode]: status });
  body.once('close', () => {
    if (status >= 400) span.end(String(status));
    // A body that is closed early without an error was abandoned by its reader.
    else span.end(body.readableEnded ? undefined : (transportErrorType(body.errored) ?? 'aborted'));
  });
}

/** The error code of the system, which semantic conventions expect in `error.type`. */
function transportErrorType(thrown: unknown): string | undefined {
  return thrown instanceof Error && 'code' in thrown ? safeCode(thrown.code) : undefined;
}
