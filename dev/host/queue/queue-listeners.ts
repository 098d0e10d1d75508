import type { AppFunction, QueueFunction } from '../app-functions.ts';
import type { QueueConfig } from '../host-config.ts';
import type { WriteLog } from '../host-log.ts';
import type { Invoker } from '../invoker.ts';
import type { HostTimings } from '../timings.ts';
import type { FindQueue } from './connect.ts';
import { listenToQueue } from './listen-to-queue.ts';
import type { QueueListener } from './listen-to-queue.ts';
import type { OutputWriter } from './output-writer.ts';
import { callWithText } from './process-message.ts';

const POISON = '-poison';

export interface QueueListenersOptions {
  readonly functions: readonly AppFunction[];
  readonly findQueue: FindQueue;
  readonly config: QueueConfig;
  readonly timings: HostTimings;
  readonly invoker: Invoker;
  readonly outputs: OutputWriter;
  readonly log: WriteLog;
}

/** The listeners of all queue functions. */
export interface QueueListeners {
  start(): void;
  notify(queueName: string): void;
  /** Takes no further messages until started again. */
  drain(): void;
  isDraining(): boolean;
  /** Takes no further messages; resolves when none is in work. */
  stop(): Promise<void>;
  invokeByHand(func: QueueFunction, text: string): Promise<void>;
}

export function createQueueListeners(options: QueueListenersOptions): QueueListeners {
  let isDraining = false;
  const targets = options.functions.filter((func) => func.kind === 'queue' && !func.isDisabled);
  let listeners = new Map<QueueFunction, QueueListener>();
  const retired: QueueListener[] = [];
  const drain = (): void => {
    isDraining = true;
    for (const listener of listeners.values()) listener.stop();
    retired.push(...listeners.values());
    listeners = new Map();
  };
  const notify = (queueName: string): void => {
    for (const [func, listener] of listeners) {
      if (func.source.queueName === queueName) listener.notify();
    }
  };
  return {
    start() {
      isDraining = false;
      if (listeners.size > 0) return;
      for (const func of targets) {
        if (func.kind === 'queue') listeners.set(func, listen(func, { ...options, notify }));
      }
    },
    notify,
    drain,
    isDraining: () => isDraining,
    async stop() {
      drain();
      await Promise.all(retired.map((listener) => listener.idle()));
    },
    async invokeByHand(func, text) {
      await callWithText({ text, triggerMetadata: {} }, { ...options, func });
    },
  };
}

function listen(
  func: QueueFunction,
  options: QueueListenersOptions & { readonly notify: (queueName: string) => void },
): QueueListener {
  const { findQueue } = options;
  const { queueName, connection } = func.source;
  const poison = { queueName: `${queueName}${POISON}`, connection };
  return listenToQueue({
    ...options,
    func,
    queue: findQueue(func.source),
    poisonQueue: queueName.endsWith(POISON) ? undefined : findQueue(poison),
    onPoison: options.notify,
  });
}
