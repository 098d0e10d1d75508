import type { HttpRequest } from '@azure/functions';
import { ServiceError } from '../errors.ts';
import { parseStrictJson } from '../json.ts';
import { type BodyLimits, type BodySource, readText } from './read-body.ts';

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
