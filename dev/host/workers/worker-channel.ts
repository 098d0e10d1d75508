import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { CliError } from '../../cli-error.ts';
import type { WriteLog } from '../host-log.ts';
import type {
  FunctionInfo,
  HostMessage,
  InvocationRequest,
  WorkerMessage,
  WorkerResult,
} from '../worker/messages.ts';

const WORKER_SCRIPT = join(import.meta.dirname, '..', 'worker', 'main.ts');

export interface WorkerOptions {
  readonly appRoot: string;
  readonly environment: Readonly<Record<string, string>>;
  readonly log: WriteLog;
  readonly startTimeoutMs: number;
}

export interface WorkerExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** One worker process with the app loaded in it. */
export interface WorkerChannel {
  readonly pid: number;
  readonly functions: readonly FunctionInfo[];
  /** Where the library takes the requests that are streamed to it; undefined when it does not. */
  readonly httpPort: number | undefined;
  readonly exited: Promise<WorkerExit>;
  /** Resolves with the worker's result; never, when the worker ends before it sends one. */
  invoke(request: InvocationRequest): Promise<WorkerResult>;
  /** Makes the worker run its terminate hooks and exit; kills it after the grace. */
  terminate(graceMs: number): Promise<void>;
}

/** Starts a worker process and resolves once the app is loaded in it. */
export async function startWorker(options: WorkerOptions): Promise<WorkerChannel> {
  const child = forkWorker(options);
  const exited = new Promise<WorkerExit>((resolve) => {
    child.once('exit', (code, signal) => resolve({ code, signal }));
    child.once('error', () => resolve({ code: 1, signal: null }));
  });
  const pending = new Map<string, (result: WorkerResult) => void>();
  const loaded = Promise.withResolvers<Extract<WorkerMessage, { type: 'loaded' }>>();
  child.on('message', (message: WorkerMessage) => {
    if (message.type === 'result') {
      pending.get(message.invocationId)?.(message.result);
      pending.delete(message.invocationId);
    } else if (message.type === 'log') logMessage(message, options.log);
    else if (message.type === 'loaded') loaded.resolve(message);
    else loaded.reject(new CliError(`Cannot start the app: ${message.message}`));
  });
  const { functions, capabilities } = await untilLoaded(child, {
    loaded: loaded.promise,
    exited,
    options,
  });
  return {
    pid: child.pid ?? 0,
    functions,
    httpPort: portOf(capabilities['HttpUri']),
    exited,
    invoke(request) {
      return new Promise((resolve) => {
        pending.set(request.invocationId, resolve);
        post(child, { type: 'invoke', request });
      });
    },
    async terminate(graceMs) {
      post(child, { type: 'terminate' });
      const timer = setTimeout(() => child.kill('SIGKILL'), graceMs);
      await exited;
      clearTimeout(timer);
    },
  };
}

function forkWorker({ appRoot, environment, log }: WorkerOptions): ChildProcess {
  const child = fork(WORKER_SCRIPT, [], {
    cwd: appRoot,
    env: { ...environment },
    execArgv: environment['languageWorkers__node__arguments']?.split(/\s+/).filter(Boolean) ?? [],
    serialization: 'advanced',
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    // Its own process group: Ctrl-C in a terminal is for the host, which then drains the worker.
    detached: true,
  });
  readLines(child.stdout, (line) => log('information', 'Host.Function.Console', line));
  readLines(child.stderr, (line) => {
    log(/warn/i.test(line) ? 'warning' : 'error', 'Host.Function.Console', line);
  });
  return child;
}

async function untilLoaded(
  child: ChildProcess,
  parts: {
    readonly loaded: Promise<Extract<WorkerMessage, { type: 'loaded' }>>;
    readonly exited: Promise<WorkerExit>;
    readonly options: WorkerOptions;
  },
): Promise<Extract<WorkerMessage, { type: 'loaded' }>> {
  const { appRoot, startTimeoutMs } = parts.options;
  const failed = Promise.withResolvers<never>();
  const fail = (reason: string): void =>
    failed.reject(new CliError(`Cannot start the app: the worker ${reason}`));
  const timer = setTimeout(() => fail(`has not loaded it in ${startTimeoutMs} ms`), startTimeoutMs);
  void parts.exited.then(({ code, signal }) => fail(`ended with ${signal ?? `code ${code}`}`));
  failed.promise.catch(() => undefined);
  post(child, { type: 'load', appRoot });
  try {
    return await Promise.race([parts.loaded, failed.promise]);
  } catch (error) {
    child.kill('SIGKILL');
    await parts.exited;
    throw error;
  } finally {
    clearTimeout(timer);
  }
}

function post(child: ChildProcess, message: HostMessage): void {
  // A worker that has just ended gets no message; the caller sees its exit.
  if (child.connected) child.send(message, () => undefined);
}

function logMessage(message: Extract<WorkerMessage, { type: 'log' }>, log: WriteLog): void {
  const { level, category, functionName } = message;
  if (functionName === undefined) log(level, 'Worker', message.message);
  else log(level, `Function.${functionName}${category === 'user' ? '.User' : ''}`, message.message);
}

function readLines(stream: Readable | null, use: (line: string) => void): void {
  if (stream !== null) createInterface({ input: stream }).on('line', use);
}

function portOf(httpUri: string | undefined): number | undefined {
  return httpUri === undefined ? undefined : Number(new URL(httpUri).port);
}
