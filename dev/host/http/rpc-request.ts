import type { NullableString, RpcHttp } from '../worker/messages.ts';
import type { HttpCall } from './http-context.ts';
import { flattenHeaders, joinHeader } from './request-headers.ts';
import { readQuery } from './request-target.ts';
import { joinRepeated } from './trigger-metadata.ts';

/** A request as a worker without streaming gets it: as a whole, and without a chunked body. */
export function rpcRequest(
  { request, headers, target, routeValues }: HttpCall,
  body: Buffer | undefined,
): RpcHttp {
  const sent = Object.entries(flattenHeaders(headers)).filter(([, value]) => value !== '');
  return {
    method: request.method ?? 'GET',
    url: `http://${joinHeader(headers, 'host') ?? ''}${encodePath(target.path)}${target.search}`,
    nullableHeaders: nullable(sent),
    nullableQuery: nullable(Object.entries(joinRepeated(readQuery(target.search)))),
    nullableParams: nullable(Object.entries(routeValues)),
    body: body === undefined ? null : { bytes: body },
  };
}

/** Here an encoded slash stays as it came. */
function encodePath(path: string): string {
  return encodeURI(path).replace(/%252f/gi, (slash) => slash.replace('%25', '%'));
}

function nullable(entries: readonly (readonly [string, string])[]): Record<string, NullableString> {
  return Object.fromEntries(entries.map(([name, value]) => [name, { value }]));
}
