import { join } from 'node:path';
import { CliError } from '../cli-error.ts';
import { readAppFunctions, unsupportedBindings } from './app-functions.ts';
import type { AppFunction } from './app-functions.ts';
import { readHostConfig } from './host-config.ts';
import type { HostConfig } from './host-config.ts';
import { createLog, LOCAL, printLine } from './host-log.ts';
import type { HostLogLine, WriteLog } from './host-log.ts';
import { createAdminApi } from './http/admin-api.ts';
import { createAnswers } from './http/answer.ts';
import { createDispatch } from './http/dispatch.ts';
import { listen } from './http/http-server.ts';
import type { HttpServer } from './http/http-server.ts';
import { createKeys } from './http/keys.ts';
import type { HostKeys } from './http/keys.ts';
import { createInvoker } from './invoker.ts';
import type { Invoker } from './invoker.ts';
import { connectQueues } from './queue/connect.ts';
import { createOutputWriter } from './queue/output-writer.ts';
import { createQueueListeners } from './queue/queue-listeners.ts';
import type { QueueListeners } from './queue/queue-listeners.ts';
import { createRouteTable } from './routes/route-table.ts';
import { readLocalSettings } from './settings-file.ts';
import { REAL_TIMINGS } from './timings.ts';
import type { HostTimings } from './timings.ts';
import { superviseWorkers } from './workers/supervise-workers.ts';
import type { WorkerSupervisor } from './workers/supervise-workers.ts';
import { startWorker } from './workers/worker-channel.ts';
import { workerEnvironment } from './workers/worker-environment.ts';

export interface HostOptions {
  /** Folder with host.json, package.json (its `main` glob) and optionally local.settings.json. */
  readonly appRoot: string;
  /** 0: a free port. Only loopback is listened on. */
  readonly port: number;
  /** Settings of the app; they win over the Values of local.settings.json. */
  readonly environment: Readonly<Record<string, string>>;
  /** Requires the keys of functions. Off by default. */
  readonly enableAuth?: boolean;
  /** Created and printed when keys are required and none are given. */
  readonly keys?: HostKeys;
  /** Gets the log line by line; printed by default. */
  readonly log?: (line: HostLogLine) => void;
  /** Other constants than those of the real host, for tests. */
  readonly timings?: Partial<HostTimings>;
}

export interface RunningHost {
  readonly url: string;
  readonly port: number;
  workerPid(): number | undefined;
  /** As SIGTERM: takes nothing new, lets what runs finish within the platform's grace, then ends. */
  stop(): Promise<void>;
  /** Resolves when the host gives up by itself. */
  readonly failed: Promise<Error>;
}

interface HostState {
  readonly config: HostConfig;
  readonly environment: Readonly<Record<string, string>>;
  readonly timings: HostTimings;
  readonly log: WriteLog;
  readonly functions: readonly AppFunction[];
  readonly supervisor: WorkerSupervisor;
}

/** Runs a functions app as the platform's host would; rejects with one clear line when it cannot. */
export async function startHost(options: HostOptions): Promise<RunningHost> {
  const { appRoot } = options;
  const environment = { ...readLocalSettings(appRoot), ...options.environment };
  const config = readHostConfig(appRoot, environment);
  const timings = { ...REAL_TIMINGS, ...options.timings };
  const log = createLog({ levels: config.logLevels, write: options.log ?? printLine });
  const start = () =>
    startWorker({
      appRoot,
      environment: workerEnvironment(environment),
      log,
      startTimeoutMs: timings.workerStartMs,
    });
  const worker = await start();
  const supervisor = superviseWorkers(worker, { start, timings, log });
  try {
    const functions = readAppFunctions(worker.functions, environment);
    requireFunctions(functions, appRoot);
    warnOfBindings(functions, log);
    return await serve(options, { config, environment, timings, log, functions, supervisor });
  } catch (error) {
    await supervisor.stop();
    throw error;
  }
}

async function serve(options: HostOptions, parts: HostState): Promise<RunningHost> {
  const { config, environment, timings, log, functions, supervisor } = parts;
  const findRoute = createRouteTable(
    functions.filter((func) => func.kind === 'http'),
    config.http.routePrefix,
  );
  const invoker = createInvoker({
    supervisor,
    functionTimeoutMs: config.functionTimeoutMs,
    timings,
    log,
  });
  const findQueue = connectQueues(environment);
  requireConnections(functions, findQueue);
  const outputs = createOutputWriter({
    findQueue,
    encoding: config.queues.messageEncoding,
    onWritten: (queueName) => listeners.notify(queueName),
  });
  const listeners = createQueueListeners({
    functions,
    findQueue,
    config: config.queues,
    timings,
    invoker,
    outputs,
    log,
  });
  const answers = createAnswers(config.http.customHeaders);
  const keys = options.enableAuth === true ? (options.keys ?? announceKeys(log)) : undefined;
  const dispatch = createDispatch({
    context: { invoker, answers, outputs, timings, log, maxBody: maxBodyOf(environment) },
    config: config.http,
    findRoute,
    admin: createAdminApi({ ...parts, listeners, invoker, answers, url: () => url }),
    keys,
    hasHomepage: environment['AzureWebJobsDisableHomepage']?.toLowerCase() !== 'true',
  });
  const server = await listen({
    port: options.port,
    keepAliveMs: timings.keepAliveMs,
    handle: dispatch,
  });
  const url = `http://127.0.0.1:${server.port}`;
  listeners.start();
  void supervisor.gaveUp.then(() => giveUp(server, listeners, timings));
  let stopped: Promise<void> | undefined;
  return {
    url,
    port: server.port,
    workerPid: () => supervisor.current()?.pid,
    failed: supervisor.gaveUp,
    stop: () => (stopped ??= stop({ server, listeners, invoker, supervisor, timings })),
  };
}

interface Stoppable {
  readonly server: HttpServer;
  readonly listeners: QueueListeners;
  readonly invoker: Invoker;
  readonly supervisor: WorkerSupervisor;
  readonly timings: HostTimings;
}

/** The order of the real host: requests first, then messages, then the worker. */
async function stop({ server, listeners, invoker, supervisor, timings }: Stoppable): Promise<void> {
  const reset = setTimeout(() => server.reset(), timings.httpDrainMs);
  await server.close();
  clearTimeout(reset);
  const graceOver = Promise.withResolvers<void>();
  const grace = setTimeout(graceOver.resolve, timings.jobHostDrainMs);
  const drained = Promise.all([listeners.stop(), invoker.idle()]);
  await Promise.race([drained, graceOver.promise]);
  clearTimeout(grace);
  await supervisor.stop();
  invoker.close();
}

/** The socket closes at once; requests that wait for a worker are reset later. */
function giveUp(server: HttpServer, listeners: QueueListeners, timings: HostTimings): void {
  listeners.drain();
  const timer = setTimeout(() => server.reset(), timings.giveUpResetMs);
  void server.close().then(() => clearTimeout(timer));
}

function requireFunctions(functions: readonly AppFunction[], appRoot: string): void {
  if (functions.length > 0) return;
  throw new CliError(
    `Cannot start as the files that 'main' of ${join(appRoot, 'package.json')} names must register functions: they register none`,
  );
}

function requireConnections(
  functions: readonly AppFunction[],
  findQueue: ReturnType<typeof connectQueues>,
): void {
  for (const func of functions) {
    if (func.isDisabled) continue;
    if (func.kind === 'queue') findQueue(func.source);
    for (const output of func.outputs.values()) findQueue(output);
  }
}

function warnOfBindings(functions: readonly AppFunction[], log: WriteLog): void {
  for (const func of functions) {
    for (const type of unsupportedBindings(func)) {
      log('warning', LOCAL, `${type} of function '${func.name}' is not imitated by the local host`);
    }
  }
}

function announceKeys(log: WriteLog): HostKeys {
  const keys = createKeys();
  log('information', LOCAL, `master key: ${keys.master}`);
  log('information', LOCAL, `function key: ${keys.host['default'] ?? ''}`);
  return keys;
}

/** The platform's own setting for it, else the limit of its web server. */
function maxBodyOf(environment: Readonly<Record<string, string>>): number {
  const wanted = Number(environment['FUNCTIONS_REQUEST_BODY_SIZE_LIMIT']);
  return Number.isInteger(wanted) && wanted > 0 ? wanted : 104_857_600;
}
