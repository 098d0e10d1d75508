import type { HttpRequest } from '@azure/functions';
import { ServiceError } from '../errors.ts';
import type { RequestContext } from './request-context.ts';
import { parseStrictJson } from '../json.ts';

/** A whole body must be here after this time; who sends slower holds a place that others need. */
const BODY_TIMEOUT_MS = 30_000;

const JSON_TYPE = /^application\/(?:[\w.-]+\+)?json$/i;
const UTF8_CHARSET = /^charset="?utf-?8"?$/i;

/**
 * The body of a request as checked JSON.
 * @throws ServiceError when it is not JSON, too large, ambiguous or wrongly encoded
 */
export async function readJson(
  context: Pick<RequestContext, 'request' | 'header'>,
  maxBytes: number,
): Promise<unknown> {
  checkMediaType(context.header('content-type') ?? '');
  const encoding = context.header('content-encoding') ?? 'identity';
  if (encoding.toLowerCase() !== 'identity')
    throw unsupportedMediaType('it must not be compressed');
  const text = await readText(context, { maxBytes, timeoutMs: BODY_TIMEOUT_MS });
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

function unsupportedMediaType(wanted: string): ServiceError {
  return new ServiceError('unsupported_media_type', `Cannot read the body: ${wanted}`);
}

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
  { request, header }: Pick<RequestContext, 'request' | 'header'>,
  limits: BodyLimits,
): Promise<string> {
  if (Number(header('content-length') ?? 0) > limits.maxBytes) throw bodyTooLarge(limits);
  if (request.body === null) return '';
  const reader = request.body.getReader() as BodyReader;
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => late.reject(bodyTimeout(limits)), limits.timeoutMs);
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
    const { done, value } = await reader.read().catch(incompleteBody);
    if (done) return Buffer.concat(chunks, bytes);
    bytes += value.byteLength;
    if (bytes > limits.maxBytes) throw bodyTooLarge(limits);
    chunks.push(value);
  }
}

/** A byte order mark or a NUL byte means another encoding: neither can begin or stand in JSON. */
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

function incompleteBody(cause: unknown): never {
  throw new ServiceError('invalid_request', 'Cannot read the body: it must arrive whole', {
    cause,
  });
}

function invalidEncoding(cause?: unknown): ServiceError {
  return new ServiceError(
    'invalid_encoding',
    'Cannot read the body: it must be UTF-8 without a byte order mark',
    { cause },
  );
}

function bodyTooLarge(limits: BodyLimits): ServiceError {
  return new ServiceError(
    'payload_too_large',
    `Cannot read the body: it must have at most ${limits.maxBytes} bytes`,
  );
}

function bodyTimeout(limits: BodyLimits): ServiceError {
  return new ServiceError(
    'request_timeout',
    `Cannot read the body: it must arrive within ${limits.timeoutMs} ms`,
  );
}

/**
 * The platform builds the headers that a handler sees out of the trigger's metadata, and a query
 * parameter or a top-level body field named `headers` takes their place there. Whoever sends one
 * could choose every header of the request, the client address included.
 * @throws ServiceError invalid_request
 */
export function rejectHeaderOverrideInQuery(request: HttpRequest): void {
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
