import { ServiceError } from '../errors.ts';
import type { Exchange } from './request-context.ts';
import { parseJson } from './strict-json.ts';
import { readText } from './read-json.ts';
import { refuseShadowingBody } from './refuse-shadowing.ts';

/** A whole body must be here after this time; who sends slower holds a place that others need. */
const BODY_TIMEOUT_MS = 30_000;

const JSON_TYPE = /^application\/(?:[\w.-]+\+)?json$/i;
const UTF8_CHARSET = /^charset="?utf-?8"?$/i;

/**
 * The body of a request as checked JSON.
 * @throws ServiceError when it is not JSON, too large, ambiguous or wrongly encoded
 */
export async function readJson(
  exchange: Pick<Exchange, 'request' | 'header'>,
  maxBytes: number,
): Promise<unknown> {
  checkMediaType(exchange.header('content-type') ?? '');
  const encoding = exchange.header('content-encoding') ?? 'identity';
  if (encoding.toLowerCase() !== 'identity') throw unsupported('it must not be compressed');
  const text = await readText(exchange, { maxBytes, timeoutMs: BODY_TIMEOUT_MS });
  const body = parseJson(text);
  refuseShadowingBody(body);
  return body;
}

function checkMediaType(contentType: string): void {
  const [type = '', ...parameters] = contentType.split(';').map((part) => part.trim());
  if (!JSON_TYPE.test(type)) throw unsupported('its Content-Type must be application/json');
  const charsets = parameters.filter((parameter) => /^charset\s*=/i.test(parameter));
  if (!charsets.every((charset) => UTF8_CHARSET.test(charset))) {
    throw unsupported('its charset must be utf-8');
  }
}

function unsupported(wanted: string): ServiceError {
  return new ServiceError('unsupported_media_type', `Cannot read the body: ${wanted}`);
}
