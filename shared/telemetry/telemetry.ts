import type { AttributesOf, CounterName, HistogramName } from './metrics.ts';

/** debug: for developers; info: what happened; warn: check this week; error: an operator must act. */
export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

/** Values beside the static message: flat and small; never a prompt, a response or a secret. */
export type LogFields = Readonly<Record<string, string | number | boolean | null | undefined>>;

/** Records metrics. `metrics.ts` lists their names and attributes. */
export interface Meter {
  /** Adds to a counter. */
  count<Name extends CounterName>(
    metric: Name,
    value: number,
    attributes?: AttributesOf<Name>,
  ): void;
  /** Records one measurement in a histogram, such as a duration or a size. */
  record<Name extends HistogramName>(
    metric: Name,
    value: number,
    attributes?: AttributesOf<Name>,
  ): void;
}

export type SpanKind = 'server' | 'client' | 'internal';

/** Small values that describe a span: never a prompt, a response or a secret. */
export type SpanAttributes = Readonly<
  Record<string, string | number | boolean | readonly string[] | undefined>
>;

interface SpanOptions {
  readonly kind: SpanKind;
  /** The W3C trace context of the parent span. */
  readonly parent: string | undefined;
  readonly attributes?: SpanAttributes;
  /** Milliseconds since the epoch, if the work began before the span was created. */
  readonly startedAt?: number;
}

/** One operation in a trace. */
export interface Span {
  /** The trace context for child spans; without tracing, the parent's. */
  readonly traceparent: string | undefined;
  /** False without tracing: the span need not be ended. */
  readonly isRecording?: false;
  set(attributes: SpanAttributes): void;
  /** Ends the span, as failed if a code is given. Later calls are ignored. */
  end(code?: string): void;
}

export interface Tracer {
  startSpan(name: string, options: SpanOptions): Span;
}

/** Logs, metrics and traces: the interface that all modules use. */
export interface Telemetry extends Meter, Tracer {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** Writes a line to the audit log, whatever the level of the log is. */
  audit(fields: LogFields): void;
  /** Adds fields, such as the request id, to each log line. */
  with(fields: LogFields): Telemetry;
}
