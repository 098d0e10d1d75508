import { randomFillSync } from 'node:crypto';
import type { Telemetry } from './telemetry.ts';

/** Span names. */
export const SPANS = {
  request: (method: string, route: string) => `${method} ${route}`,
  invokeAgent: (agent: string) => `invoke_agent ${agent}`,
  chat: (model: string) => `chat ${model}`,
  http: (method: string, path: string) => `${method} ${path}`,
  executeTool: (tool: string) => `execute_tool ${tool}`,
  batchShard: 'process batch-jobs',
} as const;

/** Span attributes, named by the semantic conventions where those define one. */
export const ATTRIBUTES = {
  agentName: 'gen_ai.agent.name',
  cachedInputTokens: 'gen_ai.usage.cache_read.input_tokens',
  conversationId: 'gen_ai.conversation.id',
  endpoint: 'agent.endpoint',
  /** The same as `error.type`, which Application Insights does not store as a property. */
  errorCode: 'agent.error.code',
  errorType: 'error.type',
  finishReasons: 'gen_ai.response.finish_reasons',
  httpMethod: 'http.request.method',
  httpRoute: 'http.route',
  inputTokens: 'gen_ai.usage.input_tokens',
  operation: 'gen_ai.operation.name',
  outputTokens: 'gen_ai.usage.output_tokens',
  provider: 'gen_ai.provider.name',
  requestId: 'agent.request.id',
  requestModel: 'gen_ai.request.model',
  responseModel: 'gen_ai.response.model',
  serverAddress: 'server.address',
  statusCode: 'http.response.status_code',
  stream: 'agent.stream',
  timeToFirstChunk: 'gen_ai.response.time_to_first_chunk',
  toolName: 'gen_ai.tool.name',
  urlFull: 'url.full',
  urlPath: 'url.path',
  urlScheme: 'url.scheme',
} as const;

interface ToolSpanOptions {
  readonly name: string;
  /** The trace context of the run that calls the tool. */
  readonly parent: string | undefined;
  readonly telemetry: Telemetry;
}

/** Runs one tool in a span and records its duration. The tool passes the trace context on to its own calls. */
export async function withToolSpan<Result>(
  { name, parent, telemetry }: ToolSpanOptions,
  run: (traceparent: string | undefined) => Promise<Result>,
): Promise<Result> {
  const startedAt = performance.now();
  const span = telemetry.startSpan(SPANS.executeTool(name), {
    kind: 'internal',
    parent,
    attributes: { [ATTRIBUTES.operation]: 'execute_tool', [ATTRIBUTES.toolName]: name },
  });
  let code: string | undefined = 'failed';
  try {
    const result = await run(span.traceparent);
    code = undefined;
    return result;
  } finally {
    span.end(code);
    const seconds = (performance.now() - startedAt) / 1_000;
    telemetry.record('toolDuration', seconds, { 'gen_ai.tool.name': name, 'error.type': code });
  }
}

/** A `traceparent` header of version 00: https://www.w3.org/TR/trace-context/#traceparent-header */
const TRACEPARENT = /^00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})$/;
const SAMPLED = 1;

interface TraceContext {
  readonly traceId: string;
  readonly spanId: string;
  readonly flags: number;
}

/** The fields of a traceparent, or undefined if it is invalid. */
export function parseTraceparent(text: string | undefined): TraceContext | undefined {
  const [, traceId, spanId, flags] = TRACEPARENT.exec(text ?? '') ?? [];
  if (traceId === undefined || spanId === undefined || flags === undefined) return undefined;
  return { traceId, spanId, flags: Number.parseInt(flags, 16) };
}

export function formatTraceparent({ traceId, spanId, flags }: TraceContext): string {
  return `00-${traceId}-${spanId}-${flags.toString(16).padStart(2, '0')}`;
}

/** A call of the system for many ids: each one costs more than the ids themselves. */
const pool = Buffer.alloc(4_096);
let used = pool.length;

function randomHex(bytes: number): string {
  if (used + bytes > pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  used += bytes;
  return pool.toString('hex', used - bytes, used);
}

/** The traceparent of a new trace. */
export function newTraceparent(): string {
  return formatTraceparent({
    traceId: randomHex(16),
    spanId: randomHex(8),
    flags: SAMPLED,
  });
}

/** The first valid traceparent, or a new one. */
export function chooseTraceparent(...candidates: readonly (string | undefined)[]): string {
  return (
    candidates.find((text) => text !== undefined && TRACEPARENT.test(text)) ?? newTraceparent()
  );
}

/** The fields of a log line that name its trace. */
export function traceFields(traceparent: string) {
  return { traceId: traceparent.slice(3, 35), spanId: traceparent.slice(36, 52) };
}
