import type { DequeuedMessageItem, QueueClient } from '@azure/storage-queue';
import type { QueueFunction } from '../app-functions.ts';
import type { QueueConfig } from '../host-config.ts';
import { LOCAL } from '../host-log.ts';
import type { WriteLog } from '../host-log.ts';
import type { Invoker } from '../invoker.ts';
import type { HostTimings } from '../timings.ts';
import type { RpcData } from '../worker/messages.ts';
import type { OutputWriter } from './output-writer.ts';
import { buildQueueMetadata, decodeMessage } from './queue-message.ts';

export interface ProcessorOptions {
  readonly func: QueueFunction;
  readonly queue: QueueClient;
  /** Undefined for a queue that is a poison queue itself. */
  readonly poisonQueue: QueueClient | undefined;
  readonly config: QueueConfig;
  readonly timings: HostTimings;
  readonly invoker: Invoker;
  readonly outputs: OutputWriter;
  readonly onPoison: (queueName: string) => void;
  readonly log: WriteLog;
}

/** Takes one message through its function: deleted after success, kept for later or poisoned otherwise. */
export async function processMessage(
  message: DequeuedMessageItem,
  options: ProcessorOptions,
): Promise<void> {
  const { queue, poisonQueue, config } = options;
  if (message.dequeueCount > config.maxDequeueCount) {
    // A poison queue has no poison queue: the message is delivered again, without a call.
    return moveToPoison(message, message.popReceipt, options);
  }
  const renewal = keepInvisible(message, options);
  const end = await runFunction(message, options).finally(renewal.stop);
  // Abandoned with the host, or failed in a poison queue: the message stays invisible for ten minutes.
  if (end === 'abandoned' || (end === 'failed' && poisonQueue === undefined)) return;
  const popReceipt = await renewal.popReceipt();
  if (end === 'succeeded') await queue.deleteMessage(message.messageId, popReceipt);
  else if (message.dequeueCount >= config.maxDequeueCount) {
    await moveToPoison(message, popReceipt, options);
  } else {
    const delaySeconds = Math.round(config.retryDelayMs / 1_000);
    await queue.updateMessage(message.messageId, popReceipt, undefined, delaySeconds);
  }
}

export type CallEnd = 'succeeded' | 'failed' | 'abandoned';

/** Calls a queue function with a text; its outputs are part of its success. */
export async function callWithText(
  input: { readonly text: string; readonly triggerMetadata: Record<string, RpcData> },
  { func, invoker, outputs, log }: Pick<ProcessorOptions, 'func' | 'invoker' | 'outputs' | 'log'>,
): Promise<CallEnd> {
  const invocation = await invoker.begin({
    functionName: func.name,
    input: { name: func.triggerName, data: { string: input.text } },
    triggerMetadata: input.triggerMetadata,
  });
  try {
    const outcome = await invocation.outcome;
    if (outcome.status === 'success') {
      await outputs.write(func, outcome);
      return 'succeeded';
    }
    if (outcome.status === 'lost' && outcome.reason === 'abandoned') return 'abandoned';
    const reason = outcome.status === 'lost' ? `the worker ${outcome.reason}` : outcome.message;
    log('error', `Function.${func.name}`, `Failed (invocation ${invocation.id}): ${reason}`);
  } catch (error) {
    log('error', `Function.${func.name}`, `An output failed: ${String(error)}`);
  } finally {
    invocation.end();
  }
  return 'failed';
}

function runFunction(message: DequeuedMessageItem, options: ProcessorOptions): Promise<CallEnd> {
  const text = decodeMessage(message.messageText, options.config.messageEncoding);
  if (text !== undefined) {
    return callWithText({ text, triggerMetadata: buildQueueMetadata(message, text) }, options);
  }
  options.log(
    'error',
    LOCAL,
    `Message ${message.messageId} of '${options.func.source.queueName}' is not base64, as messageEncoding of host.json requires: function '${options.func.name}' is not called. On Azure it goes to the poison queue without a reason in any log`,
  );
  return Promise.resolve('failed');
}

async function moveToPoison(
  message: DequeuedMessageItem,
  popReceipt: string,
  { queue, poisonQueue, config, onPoison, log, func }: ProcessorOptions,
): Promise<void> {
  if (poisonQueue === undefined) return;
  log(
    'warning',
    `Function.${func.name}`,
    `Message ${message.messageId} has been delivered ${message.dequeueCount} times (maxDequeueCount ${config.maxDequeueCount}): it goes to '${poisonQueue.name}'`,
  );
  await poisonQueue.createIfNotExists();
  await poisonQueue.sendMessage(message.messageText);
  onPoison(poisonQueue.name);
  await queue.deleteMessage(message.messageId, popReceipt);
}

/** Renews the invisibility of a message at half of its time, for as long as its function runs. */
function keepInvisible(
  message: DequeuedMessageItem,
  { queue, timings, log, func }: ProcessorOptions,
) {
  let popReceipt = message.popReceipt;
  let renewing: Promise<void> = Promise.resolve();
  const renew = async (): Promise<void> => {
    try {
      const seconds = timings.messageInvisibleMs / 1_000;
      const renewed = await queue.updateMessage(message.messageId, popReceipt, undefined, seconds);
      popReceipt = renewed.popReceipt ?? popReceipt;
    } catch (error) {
      log('warning', `Function.${func.name}`, `Cannot renew a message: ${String(error)}`);
    }
  };
  const timer = setInterval(() => {
    renewing = renew();
  }, timings.messageInvisibleMs / 2);
  return {
    stop: () => clearInterval(timer),
    popReceipt: async () => {
      await renewing;
      return popReceipt;
    },
  };
}
