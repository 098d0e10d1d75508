import Module from 'node:module';
import type { LogLevel } from '../host-log.ts';
import { Disposable } from './disposable.ts';
import type { Hooks } from './hooks.ts';
import type { FunctionInfo, InvocationRequest, NamedData, RpcData } from './messages.ts';

/** The package that exists nowhere: the worker supplies it to the library. */
const CORE_PACKAGE = '@azure/functions-core';
/** The versions that the library sees: recent enough for streaming and log hooks. */
const WORKER_VERSION = '3.12.0';
const HOST_VERSION = '4.1040.0';

export type FunctionCallback = (...parameters: unknown[]) => unknown;
export type WorkerLog = (level: LogLevel, category: 'user' | 'system', message: string) => void;

/** The library's half of one invocation. */
export interface InvocationModel {
  getArguments(): Promise<{ context: object; inputs: unknown[] }>;
  invokeFunction(context: object, inputs: unknown[], callback: FunctionCallback): Promise<unknown>;
  getResponse(
    context: object,
    result: unknown,
  ): Promise<{
    outputData?: NamedData[] | null;
    returnValue?: RpcData | null | undefined;
  }>;
}

export interface CoreContext {
  readonly invocationId: string;
  readonly request: InvocationRequest;
  readonly metadata: FunctionInfo;
  state: string | undefined;
  readonly log: WorkerLog;
}

/** The library itself, as it presents itself to the worker. */
export interface ProgrammingModel {
  readonly name: string;
  getInvocationModel(context: CoreContext): InvocationModel | Promise<InvocationModel>;
  getCapabilities?(defaults: Record<string, string>): Promise<Record<string, string>>;
}

export interface RegisteredFunction {
  readonly info: FunctionInfo;
  readonly callback: FunctionCallback;
}

/** What the app has registered so far, and the API through which it does. */
export interface Registry {
  readonly functions: ReadonlyMap<string, RegisteredFunction>;
  model(): ProgrammingModel | undefined;
  /** From now on registering a function is an error. */
  lock(): void;
}

/** Supplies the core API to `require`; must run before the app is imported. */
export function installCoreApi(hooks: Hooks, log: WorkerLog): Registry {
  const functions = new Map<string, RegisteredFunction>();
  let model: ProgrammingModel | undefined;
  let isLocked = false;
  const api = {
    version: WORKER_VERSION,
    hostVersion: HOST_VERSION,
    Disposable,
    log,
    registerHook: (name: string, hook: unknown) => hooks.register(name, hook),
    setProgrammingModel: (value: ProgrammingModel) => {
      model = value;
    },
    getProgrammingModel: () => model,
    registerFunction(metadata: FunctionInfo, callback: FunctionCallback) {
      if (isLocked) throw new Error('A function can only be registered during app startup.');
      const id = metadata.name;
      if (functions.has(id)) {
        throw new Error(`A function with id "${id}" has already been registered.`);
      }
      // The host gets metadata as JSON; options may contain functions.
      const info = JSON.parse(JSON.stringify({ name: id, bindings: metadata.bindings }));
      functions.set(id, { info: { ...metadata, ...info }, callback });
      return new Disposable(() => {
        if (isLocked) throw new Error('A function can only be disposed during app startup.');
        functions.delete(id);
      });
    },
  };
  interceptRequire(api);
  return {
    functions,
    model: () => model,
    lock: () => {
      isLocked = true;
    },
  };
}

function requireOf({ prototype }: { readonly prototype: object }): NodeJS.Require {
  return Reflect.get(prototype, 'require');
}

function interceptRequire(api: object): void {
  Module.prototype.require = new Proxy(requireOf(Module), {
    apply: (original, self, [id]) =>
      id === CORE_PACKAGE ? api : Reflect.apply(original, self, [id]),
  });
}
