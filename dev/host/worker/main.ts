import { writeSync } from 'node:fs';
import { installCoreApi } from './core-api.ts';
import type { Registry } from './core-api.ts';
import { createHooks } from './hooks.ts';
import type { Hooks } from './hooks.ts';
import { loadApp } from './load-app.ts';
import type { HostMessage, InvocationRequest, WorkerMessage } from './messages.ts';
import { runInvocation } from './run-invocation.ts';
import type { AppLog } from './run-invocation.ts';

/** What a worker can do, before the app adds to it. */
const CAPABILITIES = {
  RawHttpBodyBytes: 'true',
  RpcHttpTriggerMetadataRemoved: 'true',
  RpcHttpBodyOnly: 'true',
  IgnoreEmptyValuedRpcHttpHeaders: 'true',
  UseNullableValueDictionaryForHttp: 'true',
  WorkerStatus: 'true',
  TypedDataCollection: 'true',
  HandlesWorkerTerminateMessage: 'true',
};

const send = takeChannel();
const hooks = createHooks();
const log = createAppLog(hooks);
const registry = installCoreApi(hooks, (level, category, message) =>
  log({ level, category, message }),
);

process.on('disconnect', () => process.exit(1));
process.on('uncaughtException', (error) => crash('Uncaught exception', error));
process.on('unhandledRejection', (reason) => crash('Unhandled rejection', reason));
process.on('message', (message: HostMessage) => {
  if (message.type === 'invoke') void invoke(message.request);
  else if (message.type === 'load') void load(message.appRoot);
  else void terminate();
});

/** Only this file may talk to the host: the real worker has no such channel for the app to find. */
function takeChannel(): (message: WorkerMessage) => void {
  const channel = process.send?.bind(process);
  if (channel === undefined) throw new Error('This file is started by the local host only');
  Object.defineProperty(process, 'send', { value: undefined, configurable: true });
  return (message) => {
    if (process.connected) channel(message);
  };
}

function createAppLog(hooks: Hooks): AppLog {
  return ({ level, category, message, functionName, invocationContext }) => {
    const context = { level, message, category, invocationContext, ...sharedData(hooks) };
    try {
      hooks.runAtOnce('log', context);
    } catch (error) {
      send({ type: 'log', level: 'error', category: 'system', message: describe(error) });
    }
    send({ type: 'log', level: context.level, category, message: context.message, functionName });
  };
}

async function load(appRoot: string): Promise<void> {
  let failure: string | undefined;
  try {
    await loadApp(appRoot);
  } catch (error) {
    failure = error instanceof Error ? error.message : String(error);
  }
  try {
    // They run even when an entry point has failed.
    await hooks.run('appStart', { ...sharedData(hooks), functionAppDirectory: appRoot });
    if (failure === undefined) return await announce(registry);
  } catch (error) {
    failure ??= describe(error);
  }
  send({ type: 'failed', message: failure });
}

async function announce(registry: Registry): Promise<void> {
  const capabilities = await registry.model()?.getCapabilities?.({ ...CAPABILITIES });
  registry.lock();
  send({
    type: 'loaded',
    functions: [...registry.functions.values()].map(({ info: { name, bindings } }) => ({
      name,
      bindings,
    })),
    capabilities: capabilities ?? CAPABILITIES,
  });
}

async function invoke(request: InvocationRequest): Promise<void> {
  const { invocationId, functionId } = request;
  const target = registry.functions.get(functionId);
  const model = registry.model();
  const result =
    target === undefined || model === undefined
      ? ({ status: 'failure', stage: 'arguments', message: `No function ${functionId}` } as const)
      : await runInvocation(request, { model, hooks, target, log });
  send({ type: 'result', invocationId, result });
}

async function terminate(): Promise<void> {
  try {
    await hooks.run('appTerminate', sharedData(hooks));
  } catch (error) {
    log({ level: 'error', category: 'system', message: `appTerminate: ${describe(error)}` });
  }
  process.exit(0);
}

function sharedData({ hookData, appHookData }: Hooks): Record<'hookData' | 'appHookData', object> {
  return { hookData, appHookData };
}

/** Written directly: a message on its way to the host would be lost with the process. */
function crash(what: string, thrown: unknown): never {
  writeSync(2, `${what} in the worker: ${describe(thrown)}\n`);
  process.exit(1);
}

function describe(thrown: unknown): string {
  return thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
}
