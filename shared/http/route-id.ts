import type { Exchange } from './request-context.ts';

/**
 * The `{id}` of a route that wants no body. Its own value wins over anything of that name in query
 * or body. A body that came all the same is read: the platform may have taken headers out of it,
 * and one that tries that is refused.
 * @throws ServiceError
 */
export async function routeId(exchange: Exchange): Promise<string> {
  await expectNoBody(exchange);
  return exchange.request.params['id'] ?? '';
}

/** @throws ServiceError for a body that could have changed what the request says about itself */
export async function expectNoBody(exchange: Exchange): Promise<void> {
  if (Number(exchange.header('content-length') ?? 0) > 0) await exchange.readJson();
}
