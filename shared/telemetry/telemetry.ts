import type { AttributesOf, CounterName, HistogramName } from './metrics.ts';

/** debug: developers; info: the record of what happened; warn: look this week; error: somebody must act. */
export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

/** Values beside the static message: flat, small, never a prompt, an answer or a secret. */
export type LogFields = Readonly<Record<string, string | number | boolean | null | undefined>>;

/** Numbers over time. The names and their attributes are listed in `metric-names.ts`. */
export interface Meter {
  /** Adds to a number that only grows. */
  count<Name extends CounterName>(
    metric: Name,
    value: number,
    attributes?: AttributesOf<Name>,
  ): void;
  /** Notes one measurement of many: a duration, a size. */
  record<Name extends HistogramName>(
    metric: Name,
    value: number,
    attributes?: AttributesOf<Name>,
  ): void;
}

export type SpanKind = 'server' | 'client' | 'internal';

/** Small facts about a piece of work: never a prompt, an answer or a secret. */
export type SpanAttributes = Readonly<
  Record<string, string | number | boolean | readonly string[] | undefined>
>;

export interface SpanOptions {
  readonly kind: SpanKind;
  /** The W3C trace context that this work belongs to. */
  readonly parent: string | undefined;
  readonly attributes?: SpanAttributes;
  /** Milliseconds since the epoch, where the work began before anybody could tell. */
  readonly startedAt?: number;
}

/** A piece of work with a beginning and an end. */
export interface Span {
  /** What belongs to this work names it as its parent. Where nothing is traced, the parent's own. */
  readonly traceparent: string | undefined;
  set(attributes: SpanAttributes): void;
  /** The first call counts. A code, where there is one, says that the work failed, and how. */
  end(code?: string): void;
}

export interface Tracer {
  startSpan(name: string, options: SpanOptions): Span;
}

/** How the rooms tell operators what happens. */
export interface Telemetry extends Meter, Tracer {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** The same telemetry with fields added to each line, such as the request id. */
  with(fields: LogFields): Telemetry;
}
