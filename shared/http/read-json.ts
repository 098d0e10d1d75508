import { ServiceError } from '../errors.ts';
import type { Exchange } from './request-context.ts';

export interface BodyLimits {
  readonly maxBytes: number;
  /** A body that has not arrived whole after this time is refused. */
  readonly timeoutMs: number;
}

type BodyReader = ReadableStreamDefaultReader<Uint8Array>;

/**
 * The body as text, read no further than the limit. What is left of a refused body is not
 * cancelled: that would cut the connection before its answer; the connection itself discards it.
 * @throws ServiceError payload_too_large, request_timeout, invalid_request or invalid_encoding
 */
export async function readText(
  { request, header }: Pick<Exchange, 'request' | 'header'>,
  limits: BodyLimits,
): Promise<string> {
  if (Number(header('content-length') ?? 0) > limits.maxBytes) throw tooLarge(limits);
  if (request.body === null) return '';
  const reader = request.body.getReader() as BodyReader;
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(tooSlow(limits)), limits.timeoutMs);
  try {
    return decode(await Promise.race([readAll(reader, limits), late.promise]));
  } finally {
    clearTimeout(timer);
    reader.releaseLock();
  }
}

async function readAll(reader: BodyReader, limits: BodyLimits): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for (;;) {
    const { done, value } = await reader.read().catch(brokenOff);
    if (done) return Buffer.concat(chunks, bytes);
    bytes += value.byteLength;
    if (bytes > limits.maxBytes) throw tooLarge(limits);
    chunks.push(value);
  }
}

/** A byte order mark or a NUL byte means another encoding: neither can begin or stand in JSON. */
function decode(bytes: Uint8Array): string {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw notUtf8(cause);
  }
  if (text.startsWith('\ufeff') || text.includes('\0')) throw notUtf8();
  return text;
}

function brokenOff(cause: unknown): never {
  throw new ServiceError('invalid_request', 'Cannot read the body: it must arrive whole', {
    cause,
  });
}

function notUtf8(cause?: unknown): ServiceError {
  return new ServiceError(
    'invalid_encoding',
    'Cannot read the body: it must be UTF-8 without a byte order mark',
    { cause },
  );
}

function tooLarge(limits: BodyLimits): ServiceError {
  return new ServiceError(
    'payload_too_large',
    `Cannot read the body: it must have at most ${limits.maxBytes} bytes`,
  );
}

function tooSlow(limits: BodyLimits): ServiceError {
  return new ServiceError(
    'request_timeout',
    `Cannot read the body: it must arrive within ${limits.timeoutMs} ms`,
  );
}
