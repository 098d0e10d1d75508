import { randomBytes } from 'node:crypto';

const TRACEPARENT = /^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/;
const REQUEST_ID = /^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$/;

/**
 * The W3C trace context of a request: the host's when its telemetry is on, else the caller's,
 * else a new one.
 */
export function traceparentOf(
  fromHost: string | undefined,
  fromCaller: string | undefined,
): string {
  if (fromHost !== undefined && TRACEPARENT.test(fromHost)) return fromHost;
  if (fromCaller !== undefined && TRACEPARENT.test(fromCaller)) return fromCaller;
  return `00-${randomBytes(16).toString('hex')}-${randomBytes(8).toString('hex')}-01`;
}

/** The caller's request id when it is harmless, else a new one. */
export function requestIdOf(fromCaller: string | undefined): string {
  return fromCaller !== undefined && REQUEST_ID.test(fromCaller) ? fromCaller : crypto.randomUUID();
}

/** What a log line says about its place in a trace. */
export function traceFieldsOf(traceparent: string) {
  return { traceId: traceparent.slice(3, 35), spanId: traceparent.slice(36, 52) };
}
