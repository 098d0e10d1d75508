import { PlainFailure } from '../../plain-failure.ts';
import { LOCAL } from '../host-log.ts';
import type { WriteLog } from '../host-log.ts';
import { CRASHES_THAT_STOP } from '../timings.ts';
import type { HostTimings } from '../timings.ts';
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

export function superviseWorkers(
  first: WorkerChannel,
  { start, timings, log }: SupervisorOptions,
): WorkerSupervisor {
  let current: WorkerChannel | undefined;
  let waiting = Promise.withResolvers<WorkerChannel>();
  let starting: Promise<unknown> | undefined;
  let lastRestartAt: number | undefined;
  let restartTimer: NodeJS.Timeout | undefined;
  let isStopping = false;
  let crashes: number[] = [];
  const terminating = new Set<Promise<void>>();
  const listeners: ((channel: WorkerChannel) => void)[] = [];
  const gaveUp = Promise.withResolvers<Error>();

  function adopt(channel: WorkerChannel): void {
    if (isStopping) return channel.kill();
    current = channel;
    waiting.resolve(channel);
    void channel.exited.then((exit) => onExit(channel, exit));
  }

  function onExit(channel: WorkerChannel, { code, signal }: WorkerExit): void {
    if (channel !== current) return;
    loseCurrent();
    if (isStopping) return;
    if (code === 0) {
      log('critical', LOCAL, EXIT_ZERO);
      return;
    }
    const how = signal === null ? `exit code ${code}` : `signal ${signal}`;
    log('error', 'Host.Worker', `The worker process ${channel.pid} ended with ${how}`);
    for (const listener of listeners) listener(channel);
    countCrash(how);
  }

  function loseCurrent(): void {
    current = undefined;
    waiting = Promise.withResolvers();
  }

  function countCrash(reason: string): void {
    const now = Date.now();
    crashes = [...crashes.filter((at) => now - at < timings.crashWindowMs), now];
    if (crashes.length < CRASHES_THAT_STOP) return restart();
    const message = `The worker has failed ${crashes.length} times, last with ${reason}: the host stops, as the platform's host does, and nothing restarts it here`;
    log('critical', 'Host.Worker', message);
    gaveUp.resolve(new PlainFailure(message));
  }

  function restart(): void {
    const earliest = (lastRestartAt ?? -Infinity) + timings.restartIntervalMs;
    const delayMs = Math.max(0, earliest - Date.now());
    if (delayMs > 0) {
      log('warning', 'Host.Worker', `The next worker starts in ${Math.ceil(delayMs)} ms`);
    }
    restartTimer = setTimeout(startNext, delayMs);
  }

  function startNext(): void {
    if (isStopping) return;
    lastRestartAt = Date.now();
    starting = start().then(adopt, (error: unknown) => {
      if (isStopping) return;
      log('error', 'Host.Worker', error instanceof Error ? error.message : String(error));
      countCrash('an app that cannot be loaded');
    });
  }

  adopt(first);
  return {
    current: () => current,
    ready: () => waiting.promise,
    replace(channel) {
      if (channel !== current) return;
      loseCurrent();
      startNext();
      const ended = channel.terminate(timings.terminateGraceMs);
      terminating.add(ended);
      void ended.finally(() => terminating.delete(ended));
    },
    onCrash: (listener) => void listeners.push(listener),
    gaveUp: gaveUp.promise,
    async stop() {
      isStopping = true;
      clearTimeout(restartTimer);
      await starting;
      await current?.terminate(timings.terminateGraceMs);
      await Promise.all(terminating);
    },
  };
}

const EXIT_ZERO =
  'The worker has ended with exit code 0. On Azure it is never restarted: calls in flight and all later requests hang, and so they do here. Nothing in the app may call process.exit(0)';
