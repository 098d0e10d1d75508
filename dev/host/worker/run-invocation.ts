import { randomUUID } from 'node:crypto';
import { inspect } from 'node:util';
import type { LogLevel } from '../host-log.ts';
import type { CoreContext, ProgrammingModel, RegisteredFunction } from './core-api.ts';
import { readOnly } from './hooks.ts';
import type { Hooks } from './hooks.ts';
import type { InvocationRequest, WorkerResult } from './messages.ts';

/** Writes a line of the app's log, after the app's log hooks have seen it. */
export type AppLog = (line: {
  readonly level: LogLevel;
  readonly category: 'user' | 'system';
  readonly message: string;
  readonly functionName?: string;
  readonly invocationContext?: object | undefined;
}) => void;

export interface InvocationOptions {
  readonly model: ProgrammingModel;
  readonly hooks: Hooks;
  readonly target: RegisteredFunction;
  readonly log: AppLog;
}

/** How the platform's worker names itself in its log. */
const WORKER = `Worker ${randomUUID()}`;

/** Runs one call the way the platform's worker does: arguments, hooks, handler, hooks, answer. */
export async function runInvocation(
  request: InvocationRequest,
  parts: InvocationOptions,
): Promise<WorkerResult> {
  let stage: 'arguments' | 'handler' | 'answer' = 'arguments';
  try {
    const { core, setContext } = createCoreContext(request, parts);
    const { invocationId } = request;
    core.log(
      'debug',
      'system',
      `${WORKER} received FunctionInvocationRequest with invocationId ${invocationId}`,
    );
    const invocation = await parts.model.getInvocationModel(core);
    const { context, inputs } = await invocation.getArguments();
    setContext(context);
    stage = 'handler';
    const result = await callWithHooks({ invocation, core, context, inputs }, parts);
    stage = 'answer';
    const { outputData, returnValue } = await invocation.getResponse(context, result);
    return {
      status: 'success',
      outputData: outputData ?? [],
      returnValue,
      returnedNothing: result === undefined || result === null,
    };
  } catch (error) {
    const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
    return { status: 'failure', stage, message };
  }
}

interface Call {
  readonly invocation: Awaited<ReturnType<ProgrammingModel['getInvocationModel']>>;
  readonly core: CoreContext;
  readonly context: object;
  readonly inputs: unknown[];
}

async function callWithHooks(call: Call, { hooks, target }: InvocationOptions): Promise<unknown> {
  const { invocation, core, context } = call;
  const shared = {
    hookData: readOnly({}),
    appHookData: readOnly(hooks.appHookData),
    invocationContext: readOnly(context),
  };
  const before: Record<string, unknown> = Object.defineProperties(
    { inputs: call.inputs, functionCallback: target.callback },
    shared,
  );
  core.state = 'preInvocationHooks';
  await hooks.run('preInvocation', before);
  const inputs = Array.isArray(before['inputs']) ? before['inputs'] : [];
  const callback = before['functionCallback'];
  if (!isCallback(callback))
    throw new TypeError('A preInvocation hook must leave a function to call');
  const after: Record<string, unknown> = Object.defineProperties(
    { inputs, result: undefined, error: undefined },
    shared,
  );
  core.state = 'invocation';
  try {
    after['result'] = await invocation.invokeFunction(context, inputs, callback);
  } catch (error) {
    // A handler may throw nothing at all; it has failed all the same.
    after['error'] = error ?? new Error('The function threw no value');
  }
  core.state = 'postInvocationHooks';
  await hooks.run('postInvocation', after);
  core.state = undefined;
  // A hook that clears the error has recovered the call.
  const { error } = after;
  if (error === undefined || error === null) return after['result'];
  throw error instanceof Error ? error : new Error(inspect(error));
}

function createCoreContext(request: InvocationRequest, { target, log }: InvocationOptions) {
  let invocationContext: object | undefined;
  const core: CoreContext = {
    invocationId: request.invocationId,
    request,
    metadata: target.info,
    state: undefined,
    log: (level, category, message) =>
      log({ level, category, message, functionName: target.info.name, invocationContext }),
  };
  return {
    core,
    setContext: (context: object) => {
      invocationContext = context;
    },
  };
}

function isCallback(value: unknown): value is (...parameters: unknown[]) => unknown {
  return typeof value === 'function';
}
