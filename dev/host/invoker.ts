import { randomUUID } from 'node:crypto';
import type { WriteLog } from './host-log.ts';
import type { HostTimings } from './timings.ts';
import type { NamedData, RpcData, WorkerResult } from './worker/messages.ts';
import type { WorkerSupervisor } from './workers/supervise-workers.ts';
import type { WorkerChannel } from './workers/worker-channel.ts';

/** The result of a call: the worker's, or why the worker will never send one. */
export type Outcome =
  | WorkerResult
  | { readonly status: 'lost'; readonly reason: 'crashed' | 'timed out' | 'abandoned' };

/** One call of a function that is under way. */
export interface Invocation {
  readonly id: string;
  /** Where the worker takes streamed requests; undefined when it does not. */
  readonly httpPort: number | undefined;
  readonly outcome: Promise<Outcome>;
  /** Called when the functionTimeout has passed after the worker sent its result. */
  onOverdue(listener: () => void): void;
  /** Call it when the call has ended and its client is answered. */
  end(): void;
}

export interface CallInput {
  readonly functionName: string;
  readonly input: NamedData | ((httpPort: number | undefined) => NamedData);
  readonly triggerMetadata: Readonly<Record<string, RpcData>>;
}

/** Calls functions of the app and enforces the functionTimeout of host.json. */
export interface Invoker {
  /** Waits for a worker first, when there is none. */
  begin(call: CallInput): Promise<Invocation>;
  outstanding(): number;
  /** Resolves when no call is under way. */
  idle(): Promise<void>;
  /** Abandons the calls that are still running: the host has ended. */
  close(): void;
}

export interface InvokerOptions {
  readonly supervisor: WorkerSupervisor;
  readonly functionTimeoutMs: number | undefined;
  readonly timings: HostTimings;
  readonly log: WriteLog;
}

interface Running {
  readonly id: string;
  readonly channel: WorkerChannel;
  readonly functionName: string;
  readonly settle: (outcome: Outcome) => void;
  isSettled: boolean;
  overdue?: () => void;
  timer?: NodeJS.Timeout;
}

/** A longer timer would fire at once. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** No host telemetry runs here, and without it the platform passes empty strings. */
const NO_TRACE = { traceParent: '', traceState: '', attributes: {} };

export function createInvoker(options: InvokerOptions): Invoker {
  const { supervisor, functionTimeoutMs, timings } = options;
  const running = new Set<Running>();
  let idle = Promise.withResolvers<void>();
  const forget = (call: Running): void => {
    clearTimeout(call.timer);
    running.delete(call);
    if (running.size === 0) idle.resolve();
  };
  supervisor.onCrash((channel) => {
    for (const call of running) {
      if (call.channel === channel) call.settle({ status: 'lost', reason: 'crashed' });
    }
  });
  return {
    async begin(call) {
      const channel = supervisor.current() ?? (await supervisor.ready());
      const invocation = track(call, channel);
      if (functionTimeoutMs !== undefined) {
        const limitMs = Math.min(functionTimeoutMs + timings.timeoutGraceMs, LONGEST_TIMER_MS);
        invocation.timer = setTimeout(() => onTimeout(invocation, options), limitMs);
      }
      running.add(invocation);
      void channel.invoke(requestFor(call, invocation)).then(invocation.settle);
      return {
        id: invocation.id,
        httpPort: channel.httpPort,
        outcome: invocation.outcome,
        onOverdue(listener) {
          invocation.overdue = listener;
        },
        end: () => forget(invocation),
      };
    },
    outstanding: () => running.size,
    idle() {
      idle = Promise.withResolvers();
      if (running.size === 0) idle.resolve();
      return idle.promise;
    },
    close() {
      for (const call of running) {
        call.settle({ status: 'lost', reason: 'abandoned' });
        forget(call);
      }
    },
  };
}

function track(
  { functionName }: CallInput,
  channel: WorkerChannel,
): Running & { readonly outcome: Promise<Outcome> } {
  const { promise, resolve } = Promise.withResolvers<Outcome>();
  const invocation = {
    id: randomUUID(),
    channel,
    functionName,
    isSettled: false,
    outcome: promise,
    settle(outcome: Outcome) {
      invocation.isSettled = true;
      resolve(outcome);
    },
  };
  return invocation;
}

function requestFor(call: CallInput, { id, channel, functionName }: Running) {
  const input = typeof call.input === 'function' ? call.input(channel.httpPort) : call.input;
  return {
    invocationId: id,
    functionId: functionName,
    inputData: [input],
    triggerMetadata: call.triggerMetadata,
    traceContext: NO_TRACE,
  };
}

function onTimeout(invocation: Running, { supervisor, timings, log }: InvokerOptions): void {
  if (invocation.isSettled) {
    invocation.overdue?.();
    return;
  }
  const lost = { status: 'lost', reason: 'timed out' } as const;
  const { functionName, id, channel } = invocation;
  const name = `function '${functionName}' (invocation ${id})`;
  if (supervisor.current() !== channel) {
    log(
      'error',
      'Host.Results',
      `Timeout value exceeded by ${name}, whose worker has ended already`,
    );
    invocation.settle(lost);
    return;
  }
  log(
    'error',
    'Host.Results',
    `Timeout value exceeded by ${name}: the worker is replaced, and its other calls are lost`,
  );
  supervisor.replace(channel);
  invocation.timer = setTimeout(() => invocation.settle(lost), timings.timeoutAnswerMs);
}
