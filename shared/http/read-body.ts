import type { HttpRequest } from '@azure/functions';
import { ServiceError } from '../errors.ts';
import { withTimeout } from '../resilience/abort.ts';

/** How much of a body is read, and how slowly it may arrive. */
export interface BodyLimits {
  readonly maxBytes: number;
  /** Time limit for the whole body. */
  readonly deadlineMs: number;
  /** How far a body may fall behind the minimum rate; so this is also its longest pause. */
  readonly stallMs: number;
  readonly minBytesPerSecond: number;
}

/** The parts of a request that its body is read from. */
export interface BodySource {
  readonly request: Pick<HttpRequest, 'body'>;
  /** A header as it arrived on the wire. */
  readonly header: (name: string) => string | undefined;
}

/**
 * The chunks of a body. Every byte buys time at the minimum rate, and at most `stallMs` in advance,
 * so a body that arrives in drips ends as soon as one that stops. Only the wait for the client
 * counts, not the time that the consumer takes. The rest of a refused body is not cancelled, which
 * would close the connection before its response; the connection reads and discards it.
 * @throws ServiceError payload_too_large, request_timeout or invalid_request
 */
export async function* readChunks(
  { request, header }: BodySource,
  limits: BodyLimits,
): AsyncGenerator<Uint8Array, void, void> {
  if (Number(header('content-length') ?? 0) > limits.maxBytes) throw tooLarge(limits);
  if (request.body === null) return;
  const reader = request.body.getReader() as ReadableStreamDefaultReader<Uint8Array>;
  const deadlineAt = performance.now() + limits.deadlineMs;
  let creditMs = limits.stallMs;
  let bytes = 0;
  try {
    for (;;) {
      const startedAt = performance.now();
      const leftMs = deadlineAt - startedAt;
      if (leftMs <= 0) throw tooLate(limits);
      const { done, value } = await withTimeout(reader.read().catch(incomplete), {
        timeoutMs: Math.min(creditMs, leftMs),
        onTimeout: () => (leftMs <= creditMs ? tooLate(limits) : tooSlow(limits)),
      });
      if (done) return;
      bytes += value.byteLength;
      if (bytes > limits.maxBytes) throw tooLarge(limits);
      const earnedMs = (value.byteLength / limits.minBytesPerSecond) * 1_000;
      creditMs = Math.min(limits.stallMs, creditMs - (performance.now() - startedAt) + earnedMs);
      yield value;
    }
  } finally {
    reader.releaseLock();
  }
}

/**
 * The whole body as text.
 * @throws ServiceError as `readChunks`, and invalid_encoding
 */
export async function readText(source: BodySource, limits: BodyLimits): Promise<string> {
  const chunks = await Array.fromAsync(readChunks(source, limits));
  return decode(Buffer.concat(chunks));
}

/** A byte order mark or a NUL byte shows another encoding: JSON has neither. */
function decode(bytes: Uint8Array): string {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw invalidEncoding(cause);
  }
  if (text.startsWith('\ufeff') || text.includes('\0')) throw invalidEncoding();
  return text;
}

function incomplete(cause: unknown): never {
  throw cannotRead('invalid_request', 'it must arrive whole', cause);
}

function invalidEncoding(cause?: unknown): ServiceError {
  return cannotRead('invalid_encoding', 'it must be UTF-8 without a byte order mark', cause);
}

function tooLarge({ maxBytes }: BodyLimits): ServiceError {
  return cannotRead('payload_too_large', `it must have at most ${maxBytes} bytes`);
}

function tooLate({ deadlineMs }: BodyLimits): ServiceError {
  return cannotRead('request_timeout', `it must arrive within ${deadlineMs} ms`);
}

function tooSlow({ minBytesPerSecond, stallMs }: BodyLimits): ServiceError {
  return cannotRead(
    'request_timeout',
    `it must arrive at ${minBytesPerSecond} bytes per second, with pauses of at most ${stallMs} ms`,
  );
}

function cannotRead(
  code: 'invalid_encoding' | 'invalid_request' | 'payload_too_large' | 'request_timeout',
  expected: string,
  ...[cause]: readonly unknown[]
): ServiceError {
  return new ServiceError(code, `Cannot read the body: ${expected}`, { cause });
}
