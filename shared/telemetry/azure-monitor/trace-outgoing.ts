import { ROOT_CONTEXT, context, propagation, trace, type Span } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { W3CTraceContextPropagator } from '@opentelemetry/core';
import { UndiciInstrumentation } from '@opentelemetry/instrumentation-undici';
import type { BasicTracerProvider } from '@opentelemetry/sdk-trace-base';
import { ATTRIBUTES } from '../span-names.ts';
import type { FindSpan } from './span-tracer.ts';

/** What an HTTP call inherits from the work that makes it, so that calls can be told apart by it. */
const INHERITED = [ATTRIBUTES.requestModel, ATTRIBUTES.endpoint] as const;

export interface OutgoingTracing {
  /** The same `fetch`, whose calls are spans of their own where somebody traces them. */
  wrap(send: typeof fetch, find: FindSpan): typeof fetch;
  stop(): void;
}

/** Makes HTTP calls visible as dependencies, and sends the trace on with them. */
export function traceOutgoing(provider: BasicTracerProvider): OutgoingTracing {
  const manager = new AsyncLocalStorageContextManager().enable();
  context.setGlobalContextManager(manager);
  propagation.setGlobalPropagator(new W3CTraceContextPropagator());
  const undici = new UndiciInstrumentation({
    requireParentforSpans: true,
    startSpanHook: () => inherit(trace.getSpan(context.active())),
  });
  undici.setTracerProvider(provider);
  return {
    wrap: wrapFetch,
    stop() {
      undici.disable();
      context.disable();
      propagation.disable();
    },
  };
}

/**
 * The trace context in the header is the only truth: it names the parent, and what is sent in its
 * place names the call itself. So a call never carries two of them.
 */
function wrapFetch(send: typeof fetch, find: FindSpan): typeof fetch {
  return (input, init) => {
    const headers = new Headers(init?.headers);
    const parent = find(headers.get('traceparent') ?? '');
    if (parent === undefined) return send(input, init);
    headers.delete('traceparent');
    const within = trace.setSpan(ROOT_CONTEXT, parent);
    return context.with(within, () => send(input, { ...init, headers }));
  };
}

function inherit(parent: Span | undefined): Record<string, string> {
  const known: unknown = parent !== undefined && 'attributes' in parent ? parent.attributes : {};
  const attributes = new Map(Object.entries(known ?? {}));
  const inherited: Record<string, string> = {};
  for (const name of INHERITED) {
    const value: unknown = attributes.get(name);
    if (typeof value === 'string') inherited[name] = value;
  }
  return inherited;
}
