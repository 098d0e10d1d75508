const TRACEPARENT = /^00-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})$/;

/** The parts of a W3C trace context. */
export interface TraceParts {
  readonly traceId: string;
  readonly spanId: string;
  readonly flags: number;
}

/** The parts of a trace context, or undefined where it is none. */
export function parseTraceparent(text: string | undefined): TraceParts | undefined {
  const [, traceId, spanId, flags] = TRACEPARENT.exec(text ?? '') ?? [];
  if (traceId === undefined || spanId === undefined || flags === undefined) return undefined;
  return { traceId, spanId, flags: Number.parseInt(flags, 16) };
}
