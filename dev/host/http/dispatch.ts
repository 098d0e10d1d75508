import type { IncomingMessage, ServerResponse } from 'node:http';
import type { HttpConfig } from '../host-config.ts';
import type { RouteTable } from '../routes/route-table.ts';
import { isOpenAdminPath } from './admin-api.ts';
import type { AdminApi } from './admin-api.ts';
import { refuse } from './answer.ts';
import type { HttpCall, HttpContext } from './http-context.ts';
import type { HandleRequest } from './http-server.ts';
import { grantOf, keyOf, maySatisfy } from './keys.ts';
import type { Grant, HostKeys } from './keys.ts';
import { readHeaders } from './request-headers.ts';
import type { RequestHeaders } from './request-headers.ts';
import { readQuery } from './request-target.ts';
import type { RequestTarget } from './request-target.ts';
import { serveFunction } from './serve-function.ts';
import { createThrottle } from './throttle.ts';
import type { Throttle } from './throttle.ts';

export interface DispatchOptions {
  readonly context: HttpContext;
  readonly config: HttpConfig;
  readonly findRoute: RouteTable;
  readonly admin: AdminApi;
  /** Undefined: no request needs a key. */
  readonly keys: HostKeys | undefined;
  readonly hasHomepage: boolean;
}

interface Incoming {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly headers: RequestHeaders;
  readonly target: RequestTarget;
}

const HOMEPAGE =
  '<!DOCTYPE html><html><head><title>Functions</title></head><body><h1>Your Functions app is up and running</h1></body></html>\n';

/** Decides what a request is for: a function, the host itself, or nothing. */
export function createDispatch(options: DispatchOptions): HandleRequest {
  const throttle = createThrottle(options.config);
  return (request, response, target) => {
    const incoming = { request, response, target, headers: readHeaders(request.rawHeaders) };
    dispatch(incoming, { ...options, throttle }).catch((error: unknown) => {
      options.context.log('error', 'Host.Http', String(error));
      options.context.answers.send(response, 500);
    });
  };
}

async function dispatch(
  incoming: Incoming,
  options: DispatchOptions & { readonly throttle: Throttle },
): Promise<void> {
  const { request, response, target } = incoming;
  const { answers } = options.context;
  if (/^\/admin(?:\/|$)/i.test(target.path)) return dispatchAdmin(incoming, options);
  if (/^\/runtime\/webhooks\/./i.test(target.path)) {
    // This host has no extension with a webhook.
    const isOwner = options.keys !== undefined && grantFor(incoming, options) === 'admin';
    return answers.send(response, isOwner ? 404 : 403);
  }
  const match = options.findRoute(request.method ?? 'GET', target.path);
  if (match === undefined) {
    if (target.path !== '/') return answers.send(response, 404);
    if (!options.hasHomepage) return answers.send(response, 204);
    const headers = { 'Content-Type': 'text/html' };
    return answers.send(response, 200, { headers, body: HOMEPAGE });
  }
  const { target: func, values: routeValues } = match;
  await serveThrottled({ ...incoming, func, routeValues }, options);
}

async function serveThrottled(
  call: HttpCall,
  options: DispatchOptions & { readonly throttle: Throttle },
): Promise<void> {
  const { response, func } = call;
  const entering = options.throttle.enter();
  if (entering === undefined) {
    options.context.log('information', 'Host.HttpThrottle', 'Http request queue limit exceeded.');
    return refuse(response, 429, { 'X-FUNCTION-SCALEOUT': '1' });
  }
  const release = await entering;
  try {
    const grant = grantFor(call, { keys: options.keys, functionName: func.name });
    if (maySatisfy(grant, func.authLevel)) await serveFunction(call, options.context);
    else options.context.answers.send(response, 401);
  } finally {
    release();
  }
}

async function dispatchAdmin(incoming: Incoming, options: DispatchOptions): Promise<void> {
  const { request, response, target } = incoming;
  const { answers } = options.context;
  if (!isOpenAdminPath(target.path)) {
    const grant = grantFor(incoming, { keys: options.keys });
    if (grant === 'function') return answers.send(response, 403);
    if (grant === 'none') {
      return answers.send(response, 401, { headers: { 'WWW-Authenticate': 'Bearer' } });
    }
  }
  await options.admin(request, response, target.path);
}

function grantFor(
  { headers, target }: Incoming,
  { keys, ...rest }: { readonly keys: HostKeys | undefined; readonly functionName?: string },
): Grant {
  if (keys === undefined) return 'admin';
  return grantOf(
    keyOf(headers, () => readQuery(target.search)),
    { keys, ...rest },
  );
}
