import type { IncomingMessage, ServerResponse } from 'node:http';
import { hostname } from 'node:os';
import { randomUUID } from 'node:crypto';
import type { AppFunction } from '../app-functions.ts';
import type { WriteLog } from '../host-log.ts';
import { LOCAL } from '../host-log.ts';
import type { Invoker } from '../invoker.ts';
import type { QueueListeners } from '../queue/queue-listeners.ts';
import type { Answers } from './answer.ts';
import type { HostTimings } from '../timings.ts';
import { readBody } from './read-body.ts';
import { readHeaders } from './request-headers.ts';

export interface AdminContext {
  readonly functions: readonly AppFunction[];
  readonly listeners: QueueListeners;
  readonly invoker: Invoker;
  readonly answers: Answers;
  readonly timings: HostTimings;
  readonly log: WriteLog;
  readonly url: () => string;
}

/** Answers requests below /admin; the caller's key has been checked by then. */
export type AdminApi = (
  request: IncomingMessage,
  response: ServerResponse,
  path: string,
) => Promise<void>;

type Route = (parts: {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly name: string;
}) => Promise<void> | void;

/** Largest input that the host takes for a function called by hand. */
const MAX_INPUT = 1024 * 1024;
const VERSION = '4.1040.0.0';

export function createAdminApi(context: AdminContext): AdminApi {
  const { answers } = context;
  const routes = createRoutes(context);
  return async (request, response, path) => {
    const [, section = '', name = '', action = ''] = path.toLowerCase().split('/').filter(Boolean);
    const isFunction = section === 'functions' && name !== '' && action === '';
    const key = isFunction ? 'functions/{name}' : [section, name, action].filter(Boolean).join('/');
    const route = routes.get(`${request.method} ${key}`);
    if (route === undefined) answers.send(response, 404);
    else await route({ request, response, name });
  };
}

/** Whether a path below /admin needs no key. */
export function isOpenAdminPath(path: string): boolean {
  return /^\/admin\/host\/ping\/?$/i.test(path);
}

function createRoutes(context: AdminContext): ReadonlyMap<string, Route> {
  const { answers, listeners, invoker, functions } = context;
  const instanceId = randomUUID();
  const sendJson = (response: ServerResponse, status: number, value: unknown): void =>
    answers.send(response, status, {
      headers: { 'Content-Type': 'application/json; charset=utf-8' },
      body: JSON.stringify(value),
    });
  const ping: Route = ({ response }) => answers.send(response, 200);
  return new Map<string, Route>([
    ['GET host/ping', ping],
    ['POST host/ping', ping],
    ['GET warmup', ping],
    ['GET host/status', ({ response }) => sendJson(response, 200, statusOf(instanceId))],
    [
      'POST host/drain',
      ({ response }) => {
        listeners.drain();
        answers.send(response, 202);
      },
    ],
    [
      'GET host/drain/status',
      ({ response }) => {
        const outstandingInvocations = invoker.outstanding();
        const state = drainState(listeners.isDraining(), outstandingInvocations);
        sendJson(response, 200, { state, outstandingInvocations, outstandingRetries: 0 });
      },
    ],
    [
      'POST host/resume',
      ({ response }) => {
        listeners.start();
        sendJson(response, 200, { state: 'Running' });
      },
    ],
    [
      'GET functions',
      ({ response }) =>
        sendJson(
          response,
          200,
          functions.map((func) => describeFunction(func, context.url())),
        ),
    ],
    [
      'GET functions/{name}',
      ({ response, name }) => {
        const func = findFunction(functions, name);
        if (func === undefined) answers.send(response, 404);
        else sendJson(response, 200, describeFunction(func, context.url()));
      },
    ],
    ['POST functions/{name}', (parts) => invokeByHand(parts, context)],
  ]);
}

async function invokeByHand(
  { request, response, name }: Parameters<Route>[0],
  { functions, answers, listeners, timings, log }: AdminContext,
): Promise<void> {
  const func = findFunction(functions, name);
  const input = await readInput(request, timings);
  if (input === undefined) return answers.send(response, 400);
  if (func === undefined) return answers.send(response, 404);
  if (func.kind === 'queue') void listeners.invokeByHand(func, input);
  else log('warning', LOCAL, `Function '${func.name}' is not called: only queue functions can be`);
  answers.send(response, 202);
}

async function readInput(
  request: IncomingMessage,
  timings: HostTimings,
): Promise<string | undefined> {
  const headers = readHeaders(request.rawHeaders);
  try {
    const body = await readBody({ request, headers }, { maxBody: MAX_INPUT, timings });
    const content: unknown = JSON.parse(body.toString());
    if (typeof content !== 'object' || content === null) return undefined;
    return 'input' in content && typeof content.input === 'string' ? content.input : '';
  } catch {
    return undefined;
  }
}

function findFunction(functions: readonly AppFunction[], name: string): AppFunction | undefined {
  return functions.find((func) => func.name.toLowerCase() === name);
}

function describeFunction({ name, isDisabled, info }: AppFunction, url: string) {
  return {
    name,
    href: `${url}/admin/functions/${name}`,
    isDisabled,
    language: 'node',
    config: {
      name,
      bindings: Object.values(info.bindings),
    },
  };
}

function statusOf(instanceId: string) {
  return {
    id: hostname().toLowerCase(),
    state: 'Running',
    version: VERSION,
    versionDetails: `${VERSION} (local host)`,
    instanceId,
    computerName: hostname(),
    processUptime: Math.round(process.uptime() * 1_000),
    functionAppContentEditingState: 'NotAllowed',
  };
}

function drainState(isDraining: boolean, outstanding: number): string {
  if (!isDraining) return 'Disabled';
  return outstanding > 0 ? 'InProgress' : 'Completed';
}
