import type { HttpRequest } from '@azure/functions';
import type { ClientConnection } from './client-connection.ts';
import { ServiceError } from '../errors.ts';
import { parseStrictJson } from '../json.ts';
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
  readonly connection?: Pick<ClientConnection, 'takeCompleteBody'> | undefined;
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
  source: BodySource,
  limits: BodyLimits,
): AsyncGenerator<Uint8Array, void, void> {
  const { request } = source;
  const complete = takeComplete(source, limits);
  if (complete !== undefined) yield complete;
  if (complete !== undefined || request.body === null) return;
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
        timeoutMs: Math.max(0, Math.min(creditMs, leftMs)),
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
 * A body that has arrived needs no time limits, and no web stream, which costs more than its parsing.
 * @throws ServiceError payload_too_large
 */
function takeComplete(
  { request, connection, header }: BodySource,
  limits: BodyLimits,
): Uint8Array | undefined {
  if (Number(header('content-length') ?? 0) > limits.maxBytes) throw tooLarge(limits);
  return request.body === null ? undefined : connection?.takeCompleteBody();
}

/**
 * The whole body as text.
 * @throws ServiceError as `readChunks`, and invalid_encoding
 */
export async function readText(source: BodySource, limits: BodyLimits): Promise<string> {
  const complete = takeComplete(source, limits);
  if (complete !== undefined) return decode(complete);
  const chunks = await Array.fromAsync(readChunks(source, limits));
  return decode(Buffer.concat(chunks));
}

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** A byte order mark or a NUL byte shows another encoding: JSON has neither. */
function decode(bytes: Uint8Array): string {
  let text: string;
  try {
    text = UTF8.decode(bytes);
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

const JSON_TYPE = /^application\/(?:[\w.-]+\+)?json$/i;
const UTF8_CHARSET = /^charset="?utf-?8"?$/i;

/**
 * Reads the body of a request as strict JSON.
 * @throws ServiceError when it is not JSON, too large, ambiguous or wrongly encoded
 */
export async function readJson(source: BodySource, limits: BodyLimits): Promise<unknown> {
  checkMediaType(source.header('content-type') ?? '');
  const encoding = source.header('content-encoding') ?? 'identity';
  if (encoding.toLowerCase() !== 'identity')
    throw unsupportedMediaType('it must not be compressed');
  const text = await readText(source, limits);
  const body = parseStrictJson(text);
  rejectHeaderOverrideInBody(body);
  return body;
}

function checkMediaType(contentType: string): void {
  const [type = '', ...parameters] = contentType.split(';').map((part) => part.trim());
  if (!JSON_TYPE.test(type))
    throw unsupportedMediaType('its Content-Type must be application/json');
  const charsets = parameters.filter((parameter) => /^charset\s*=/i.test(parameter));
  if (!charsets.every((charset) => UTF8_CHARSET.test(charset))) {
    throw unsupportedMediaType('its charset must be utf-8');
  }
}

function unsupportedMediaType(expected: string): ServiceError {
  return new ServiceError('unsupported_media_type', `Cannot read the body: ${expected}`);
}

/**
 * The platform takes the headers of a handler's request from the trigger metadata, and there a query
 * parameter or a top-level body field named `headers` replaces them. A client that sends one could
 * set every header of its request, including its own address.
 * @throws ServiceError invalid_request
 */
export function rejectHeaderOverrideInQuery(request: HttpRequest): void {
  if (!request.url.includes('?')) return;
  for (const name of new URL(request.url).searchParams.keys()) rejectHeaderOverride(name, 'query');
}

/** The same for the fields of a body. */
export function rejectHeaderOverrideInBody(body: unknown): void {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) return;
  for (const name of Object.keys(body)) rejectHeaderOverride(name, 'body');
}

function rejectHeaderOverride(name: string, where: 'query' | 'body'): void {
  // Upper case folds more than lower case does: the long s among others.
  if (name.toUpperCase() !== 'HEADERS') return;
  throw new ServiceError(
    'invalid_request',
    `Cannot accept "headers" in the ${where}: it must not take the place of the request headers`,
    { param: 'headers' },
  );
}
