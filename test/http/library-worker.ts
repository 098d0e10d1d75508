import type { Server } from 'node:http';
import Module, { createRequire } from 'node:module';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type * as functions from '@azure/functions';
import { z } from 'zod';

/**
 * The Functions library as the platform's worker uses it: its own streaming proxy in this process,
 * with the worker's part played by a few lines. A test sends to the proxy what the host would.
 */
export interface LibraryWorker {
  /** Where the library's proxy listens. */
  readonly url: string;
  /** What a request must carry, and the invocation that goes with it. */
  announce(): { readonly headers: Record<string, string>; readonly invoked: Promise<void> };
  close(): Promise<void>;
}

interface InvocationModel {
  getArguments(): Promise<{ readonly context: unknown; readonly inputs: unknown[] }>;
  invokeFunction(context: unknown, inputs: unknown[], callback: unknown): Promise<unknown>;
  getResponse(context: unknown, result: unknown): Promise<unknown>;
}

interface ProgrammingModel {
  getCapabilities(defaults: object): Promise<Record<string, string>>;
  getInvocationModel(context: object): InvocationModel;
}

interface Registered {
  readonly metadata: { readonly bindings: Record<string, unknown> };
  readonly callback: unknown;
}

/** Loads the library with a core of our own and one function behind its proxy. */
export async function startLibraryWorker(handler: functions.HttpHandler): Promise<LibraryWorker> {
  let model: ProgrammingModel | undefined;
  let registered: Registered | undefined;
  const restore = provideCore({
    version: '0.0.0',
    hostVersion: '4.1000.0',
    registerFunction(metadata: Registered['metadata'], callback: unknown) {
      registered = { metadata, callback };
      return { dispose: () => undefined };
    },
    registerHook: () => ({ dispose: () => undefined }),
    setProgrammingModel: (given: ProgrammingModel) => void (model = given),
    getProgrammingModel: () => model,
    log: () => undefined,
  });
  // The same instance that the code under test imports.
  const { app } = createRequire(import.meta.url)('@azure/functions') as typeof functions;
  app.setup({ enableHttpStream: true });
  app.http('chat', { route: 'api/chat', methods: ['POST', 'GET'], handler });
  restore();
  const known = { model: z.custom<ProgrammingModel>().parse(model), registered };
  const capabilities = await known.model.getCapabilities({});
  const url = z.url().parse(capabilities['HttpUri']);
  const server = serverSeen();
  return {
    url,
    announce() {
      const id = crypto.randomUUID();
      const headers = {
        'x-ms-invocation-id': id,
        'x-forwarded-host': 'agent.example',
        'x-forwarded-proto': 'https',
      };
      return {
        headers,
        invoked: invoke(id, z.custom<Registered>().parse(registered), known.model),
      };
    },
    close: () => server.close(),
  };
}

/** One invocation, step by step as the worker does it. */
async function invoke(
  invocationId: string,
  { metadata, callback }: Registered,
  model: ProgrammingModel,
): Promise<void> {
  const [name = ''] = Object.keys(metadata.bindings);
  const invocation = model.getInvocationModel({
    invocationId,
    metadata: { name: 'chat', ...metadata },
    state: undefined,
    log: () => undefined,
    request: {
      invocationId,
      inputData: [{ name, data: { http: {} } }],
      triggerMetadata: { Headers: { json: '{"content-type":"application/json"}' } },
      traceContext: { traceParent: '', traceState: '', attributes: {} },
    },
  });
  const { context, inputs } = await invocation.getArguments();
  const result = await invocation.invokeFunction(context, inputs, callback);
  await invocation.getResponse(context, result);
}

type Require = (this: unknown, id: string) => unknown;

function provideCore(core: object): () => void {
  const prototype = Module.prototype as { require: Require };
  const original = prototype.require;
  prototype.require = function require(this: unknown, id: string): unknown {
    return id === '@azure/functions-core' ? core : original.call(this, id);
  };
  return () => {
    prototype.require = original;
  };
}

/** The library keeps its server to itself; Node names it with each request. */
function serverSeen(): { close(): Promise<void> } {
  let seen: Server | undefined;
  const notice = (message: unknown): void => {
    seen = (message as { server: Server }).server;
  };
  subscribe('http.server.request.start', notice);
  return {
    close() {
      unsubscribe('http.server.request.start', notice);
      seen?.closeAllConnections();
      return new Promise((resolve) => {
        if (seen === undefined) resolve();
        else seen.close(() => resolve());
      });
    },
  };
}
