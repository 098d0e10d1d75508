import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { ApiError, errorBody } from './api-error.ts';
import type { CallLog } from './call-log.ts';
import { handleChat } from './handle-chat.ts';
import type { RateLimit } from './faults/rate-limits.ts';
import { listModels } from './model-table.ts';
import { requireKey } from './require-key.ts';

export interface RouterOptions {
  readonly log: CallLog;
  readonly tokenDelayMs: number;
  readonly scale: number;
  readonly rateLimit: RateLimit;
}

const CHAT_PATH = /^(\/openai)?\/v1\/chat\/completions\/?$/;
const DEPLOYMENT_PATH = /^\/openai\/deployments\/(.+)\/chat\/completions\/?$/;
const MODELS_PATH = /^(\/openai)?\/v1\/models\/?$/;

/** The request listener of the server: it answers every request, whatever the caller sends. */
export function createRouter(
  options: RouterOptions,
): (request: IncomingMessage, response: ServerResponse) => void {
  return (request, response) => {
    response.on('error', () => response.destroy());
    route(request, response, options).catch((error: unknown) => {
      if (response.headersSent || response.destroyed) response.destroy();
      else sendProblem(response, error);
    });
  };
}

async function route(
  request: IncomingMessage,
  response: ServerResponse,
  options: RouterOptions,
): Promise<void> {
  const path = (request.url ?? '/').split('?', 1)[0] ?? '/';
  const method = request.method ?? 'GET';
  if (path === '/dev/redirect-target') {
    options.log.countRedirectHit();
    return sendJson(response, { redirected: true });
  }
  if (path.startsWith('/dev/')) return answerInspection(`${method} ${path}`, response, options);
  const deployment = DEPLOYMENT_PATH.exec(path)?.[1];
  if (deployment !== undefined || CHAT_PATH.test(path)) {
    requireMethod('POST', method);
    const { port } = request.socket.address() as AddressInfo;
    const isAzure = path.startsWith('/openai/');
    const baseUrl = `http://127.0.0.1:${port}`;
    return handleChat({ request, response, path, deployment, isAzure, baseUrl, ...options });
  }
  if (!MODELS_PATH.test(path)) throw new ApiError(404, `Unknown path '${method} ${path}'`);
  requireMethod('GET', method);
  requireKey(request.headers);
  return sendJson(response, listModels());
}

function answerInspection(route: string, response: ServerResponse, options: RouterOptions): void {
  switch (route) {
    case 'GET /dev/calls':
      return sendJson(response, options.log.publicCalls());
    case 'DELETE /dev/calls':
      options.log.reset();
      return sendJson(response, { deleted: true });
    case 'GET /dev/stats':
      return sendJson(response, options.log.stats());
    default:
      throw new ApiError(404, `Unknown path '${route}'`);
  }
}

function requireMethod(wanted: string, method: string): void {
  if (method !== wanted) throw new ApiError(405, `Not allowed: this path answers ${wanted}`);
}

function sendJson(response: ServerResponse, value: unknown): void {
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(value));
}

function sendProblem(response: ServerResponse, error: unknown): void {
  const known =
    error instanceof ApiError
      ? error
      : new ApiError(500, 'The development model failed', { type: 'server_error' });
  response.writeHead(known.status, { 'content-type': 'application/json' });
  response.end(errorBody(known.message, known.details));
}
