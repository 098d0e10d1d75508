import type { IncomingHttpHeaders } from 'node:http';
import { ApiError } from './api-error.ts';

/**
 * The key that a caller sent in either of the two headers; any key is accepted.
 * @throws ApiError 401 without a key
 */
export function requireKey(headers: IncomingHttpHeaders): string {
  const bearer = /^Bearer\s+(\S.*)$/i.exec(headers.authorization ?? '')?.[1];
  const key = bearer ?? headers['api-key'];
  if (typeof key === 'string' && key !== '') return key;
  throw new ApiError(401, "No key was sent: use 'Authorization: Bearer <any key>' or 'api-key'", {
    code: 'invalid_api_key',
  });
}
