import type { HttpRequest } from '@azure/functions';
import { ServiceError } from '../errors.ts';

/**
 * The platform builds the headers that a handler sees out of the trigger's metadata, and a query
 * parameter or a top-level body field named `headers` takes their place there. Whoever sends one
 * could choose every header of the request, the client address included.
 * @throws ServiceError invalid_request
 */
export function refuseShadowingQuery(request: HttpRequest): void {
  for (const name of new URL(request.url).searchParams.keys()) refuseName(name, 'query');
}

/** The same for the fields of a body. */
export function refuseShadowingBody(body: unknown): void {
  if (typeof body !== 'object' || body === null || Array.isArray(body)) return;
  for (const name of Object.keys(body)) refuseName(name, 'body');
}

function refuseName(name: string, where: 'query' | 'body'): void {
  // Upper case folds more than lower case does: the long s among others.
  if (name.toUpperCase() !== 'HEADERS') return;
  throw new ServiceError(
    'invalid_request',
    `Cannot accept "headers" in the ${where}: it must not take the place of the request headers`,
    { param: 'headers' },
  );
}
