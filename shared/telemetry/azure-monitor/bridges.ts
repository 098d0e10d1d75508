import {
  ROOT_CONTEXT,
  SpanKind as OtelKind,
  SpanStatusCode,
  trace,
  type Attributes,
  type Context,
  type Span as OtelSpan,
  type SpanContext,
  type Tracer as OtelTracer,
} from '@opentelemetry/api';
import { ATTRIBUTES } from '../spans.ts';
import type { Span, SpanAttributes, SpanKind, Tracer } from '../telemetry.ts';
import { parseTraceparent } from '../traceparent.ts';

const KINDS: Readonly<Record<SpanKind, OtelKind>> = {
  server: OtelKind.SERVER,
  client: OtelKind.CLIENT,
  internal: OtelKind.INTERNAL,
};

/**
 * Spans by explicit parents: what belongs together says so by its trace context. The context that
 * OpenTelemetry would carry along by itself is lost in streams that are read from elsewhere.
 */
export function createSpanTracer(tracer: OtelTracer): Tracer {
  return {
    startSpan(name, { kind, parent, attributes = {}, startedAt }) {
      const options = {
        kind: KINDS[kind],
        attributes: toAttributes(attributes),
        ...(startedAt === undefined ? {} : { startTime: startedAt }),
      };
      return toSpan(tracer.startSpan(name, options, contextOf(parent)));
    },
  };
}

function toSpan(span: OtelSpan): Span {
  let isOpen = true;
  return {
    traceparent: format(span.spanContext()),
    set: (attributes) => void span.setAttributes(toAttributes(attributes)),
    end(code) {
      if (!isOpen) return;
      isOpen = false;
      if (code !== undefined) {
        span.setAttributes({ [ATTRIBUTES.errorType]: code, [ATTRIBUTES.errorCode]: code });
        span.setStatus({ code: SpanStatusCode.ERROR });
      }
      span.end();
    },
  };
}

function contextOf(parent: string | undefined): Context {
  const parts = parseTraceparent(parent);
  if (parts === undefined) return ROOT_CONTEXT;
  const { traceId, spanId, flags } = parts;
  return trace.setSpanContext(ROOT_CONTEXT, { traceId, spanId, traceFlags: flags, isRemote: true });
}

function toAttributes(attributes: SpanAttributes): Attributes {
  const known: Attributes = {};
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined) continue;
    known[name] = typeof value === 'object' ? [...value] : value;
  }
  return known;
}

function format({ traceId, spanId, traceFlags }: SpanContext): string {
  return `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, '0')}`;
}
