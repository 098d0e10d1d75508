import type { ServerResponse } from 'node:http';
import type { app, InvocationContext } from '@azure/functions';

export type LogHook = Pick<typeof app.hook, 'log'>;

/** The worker logs each invocation with this line before it waits for the request. */
const ANNOUNCEMENT =
  /^Worker \S+ received FunctionInvocationRequest with invocationId ([0-9a-f-]{36})$/;

const CHECK_INTERVAL_MS = 500;
/** An invocation is given up after so many checks: 10 s in which this process was responsive. */
const MAX_CHECKS = 20;

interface Unstarted {
  checks: number;
  /** Undefined while the request has not arrived. */
  response: ServerResponse | undefined;
}

const unstarted = new Map<string, Unstarted>();

/** Marks an invocation as started: its function runs and answers for itself. */
export function markStarted(invocationId: string): void {
  unstarted.delete(invocationId);
}

/** Wraps a handler that is not an HTTP handler of this app so that its invocations count as started. */
export function startingInvocation<Input, Result>(
  handler: (input: Input, context: InvocationContext) => Result,
): (input: Input, context: InvocationContext) => Result {
  return (input, context) => {
    markStarted(context.invocationId);
    return handler(input, context);
  };
}

/**
 * Calls `abandon` for an invocation whose function has not started 10 s after its request, or the
 * worker's word of it, arrived. The library has refused the request then, or the host cannot forward
 * it; otherwise both arrive within milliseconds of each other. Time is counted in checks, so that a
 * blocked event loop abandons no invocation.
 *
 * Workers before 3.10 have no log hook: there only invocations whose request arrives are noticed.
 */
export function watchUnstartedInvocations(
  hook: LogHook,
  abandon: (invocationId: string, response: ServerResponse | undefined) => void,
): (invocationId: string, response: ServerResponse) => void {
  let timer: NodeJS.Timeout | undefined;
  const add = (id: string, response?: ServerResponse): void => {
    const known = unstarted.get(id);
    if (known === undefined) unstarted.set(id, { checks: 0, response });
    else known.response ??= response;
    timer ??= setInterval(check, CHECK_INTERVAL_MS).unref();
  };
  const check = (): void => {
    for (const [id, invocation] of unstarted) {
      invocation.checks += 1;
      if (invocation.checks < MAX_CHECKS) continue;
      unstarted.delete(id);
      abandon(id, invocation.response);
    }
    if (unstarted.size > 0) return;
    clearInterval(timer);
    timer = undefined;
  };
  try {
    hook.log(({ message }) => {
      const id = ANNOUNCEMENT.exec(message)?.[1];
      if (id !== undefined) add(id);
    });
  } catch {
    // The worker is too old for this hook.
  }
  return add;
}
