import type { AttributeValue, Attributes } from '@opentelemetry/api';
import type { ReadableSpan, SpanExporter } from '@opentelemetry/sdk-trace-base';
import type { Redact } from '../redact.ts';

/** Addresses and search strings may hold what a caller wrote or a key; none of them is needed. */
const DROPPED: ReadonlySet<string> = new Set([
  'network.peer.address',
  'network.peer.port',
  'url.query',
  'user_agent.original',
]);

/** Addresses of our own settings; digits in them are nobody's number. */
const CONFIGURED: ReadonlySet<string> = new Set(['server.address', 'url.full', 'url.path']);

/**
 * What leaves the process of a span: facts, without the messages of errors. Libraries note those
 * as events and in the status, and they may hold anything.
 */
export function cleanSpanExporter(inner: SpanExporter, redact: Redact): SpanExporter {
  return {
    export: (spans, done) =>
      inner.export(
        spans.map((span) => clean(span, redact)),
        done,
      ),
    shutdown: () => inner.shutdown(),
    forceFlush: async () => inner.forceFlush?.(),
  };
}

function clean(span: ReadableSpan, redact: Redact): ReadableSpan {
  const attributes: Attributes = {};
  for (const [name, value] of Object.entries(span.attributes)) {
    if (CONFIGURED.has(name)) attributes[name] = String(value).replace(/[?#].*/s, '');
    else if (!DROPPED.has(name)) attributes[name] = cleanValue(value, redact);
  }
  return Object.create(span, {
    name: { value: redact(span.name) },
    attributes: { value: attributes },
    events: { value: [] },
    status: { value: { code: span.status.code } },
  }) as ReadableSpan;
}

function cleanValue(value: AttributeValue | undefined, redact: Redact): AttributeValue | undefined {
  if (typeof value === 'string') return redact(value);
  if (!Array.isArray(value)) return value;
  return value.map((one) => (typeof one === 'string' ? redact(one) : String(one)));
}
