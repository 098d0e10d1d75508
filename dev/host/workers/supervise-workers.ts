import { CliError } from '../../cli-error.ts';
import { LOCAL } from '../host-log.ts';
import type { WriteLog } from '../host-log.ts';
import { CRASHES_THAT_STOP } from '../timings.ts';
import type { HostTimings } from '../timings.ts';
import { createRestartPolicy } from './restart-policy.ts';
import type { RestartPolicy } from './restart-policy.ts';
import type { WorkerChannel, WorkerExit } from './worker-channel.ts';

export interface SupervisorOptions {
  readonly start: () => Promise<WorkerChannel>;
  readonly timings: HostTimings;
  readonly log: WriteLog;
}

/** Keeps one worker running, restarts it as the platform does, and knows when to give up. */
export interface WorkerSupervisor {
  /** The worker that serves now; undefined while there is none. */
  current(): WorkerChannel | undefined;
  /** Waits for a worker; for ever, when the platform would never start one again. */
  ready(): Promise<WorkerChannel>;
  /** Puts another worker in the place of one that is stuck, and lets that one terminate. */
  replace(channel: WorkerChannel): void;
  /** Called with every worker that ends by itself with a failure, before the next one starts. */
  onCrash(listener: (channel: WorkerChannel) => void): void;
  /** Resolves when too many workers have crashed: the host stops. */
  readonly gaveUp: Promise<Error>;
  stop(): Promise<void>;
}

interface Supervision extends SupervisorOptions {
  readonly policy: RestartPolicy;
  readonly listeners: ((channel: WorkerChannel) => void)[];
  readonly terminating: Set<Promise<void>>;
  readonly giveUp: (error: Error) => void;
  current: WorkerChannel | undefined;
  waiting: PromiseWithResolvers<WorkerChannel>;
  starting: Promise<void> | undefined;
  timer: NodeJS.Timeout | undefined;
  isStopping: boolean;
}

const EXIT_ZERO =
  'The worker has ended with exit code 0. On Azure it is never restarted: calls in flight and all later requests hang, and so they do here. Nothing in the app may call process.exit(0)';

export function superviseWorkers(
  first: WorkerChannel,
  options: SupervisorOptions,
): WorkerSupervisor {
  const gaveUp = Promise.withResolvers<Error>();
  const state: Supervision = {
    ...options,
    policy: createRestartPolicy(options.timings),
    listeners: [],
    terminating: new Set(),
    giveUp: gaveUp.resolve,
    current: undefined,
    waiting: Promise.withResolvers(),
    starting: undefined,
    timer: undefined,
    isStopping: false,
  };
  adopt(first, state);
  return {
    current: () => state.current,
    ready: () => state.waiting.promise,
    replace: (channel) => replace(channel, state),
    onCrash: (listener) => void state.listeners.push(listener),
    gaveUp: gaveUp.promise,
    async stop() {
      state.isStopping = true;
      clearTimeout(state.timer);
      await state.starting;
      await state.current?.terminate(options.timings.terminateGraceMs);
      await Promise.all(state.terminating);
    },
  };
}

function adopt(channel: WorkerChannel, state: Supervision): void {
  state.current = channel;
  state.waiting.resolve(channel);
  void channel.exited.then((exit) => onExit(channel, { exit, state }));
}

function onExit(
  channel: WorkerChannel,
  { exit, state }: { readonly exit: WorkerExit; readonly state: Supervision },
): void {
  if (channel !== state.current) return;
  loseCurrent(state);
  if (state.isStopping) return;
  if (exit.code === 0) {
    state.log('critical', LOCAL, EXIT_ZERO);
    return;
  }
  const how = exit.signal === null ? `exit code ${exit.code}` : `signal ${exit.signal}`;
  state.log('error', 'Host.Worker', `The worker process ${channel.pid} ended with ${how}`);
  for (const listener of state.listeners) listener(channel);
  restartAfterCrash(how, state);
}

function loseCurrent(state: Supervision): void {
  state.current = undefined;
  state.waiting = Promise.withResolvers();
}

function restartAfterCrash(how: string, state: Supervision): void {
  const next = state.policy.onCrash(Date.now());
  if (next === 'stop') {
    const message = `The worker has failed ${CRASHES_THAT_STOP} times, last with ${how}: the host stops as it does on Azure, where another one would be started`;
    state.log('critical', 'Host.Worker', message);
    state.giveUp(new CliError(message));
    return;
  }
  if (next.delayMs > 0) {
    state.log('warning', 'Host.Worker', `The next worker starts in ${next.delayMs} ms`);
  }
  state.timer = setTimeout(() => startNext(state), next.delayMs);
}

function startNext(state: Supervision): void {
  if (state.isStopping) return;
  state.policy.onRestart(Date.now());
  state.starting = state.start().then(
    (channel) => adopt(channel, state),
    (error: unknown) => {
      if (state.isStopping) return;
      state.log('error', 'Host.Worker', error instanceof Error ? error.message : String(error));
      restartAfterCrash('an app that cannot be loaded', state);
    },
  );
}

function replace(channel: WorkerChannel, state: Supervision): void {
  if (channel !== state.current) return;
  loseCurrent(state);
  startNext(state);
  const ended = channel.terminate(state.timings.terminateGraceMs);
  state.terminating.add(ended);
  void ended.finally(() => state.terminating.delete(ended));
}
