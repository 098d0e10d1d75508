import type { AppFunction } from '../app-functions.ts';
import type { QueueConfig } from '../host-config.ts';
import type { RpcData, WorkerResult } from '../worker/messages.ts';
import type { FindQueue } from './connect.ts';
import { encodeMessage } from './queue-message.ts';

/** Writes what a function put into its queue output bindings. */
export interface OutputWriter {
  write(func: AppFunction, result: Extract<WorkerResult, { status: 'success' }>): Promise<void>;
}

export interface OutputWriterOptions {
  readonly findQueue: FindQueue;
  readonly encoding: QueueConfig['messageEncoding'];
  /** Called with a queue that has got a message, so that its listener need not wait. */
  readonly onWritten: (queueName: string) => void;
}

const RETURN_BINDING = '$return';

export function createOutputWriter({
  findQueue,
  encoding,
  onWritten,
}: OutputWriterOptions): OutputWriter {
  return {
    async write({ outputs }, { outputData, returnValue }) {
      if (outputs.size === 0) return;
      const values = [...outputData, { name: RETURN_BINDING, data: returnValue }];
      for (const { name, data } of values) {
        const binding = outputs.get(name);
        if (binding === undefined || data === undefined || data === null) continue;
        const queue = findQueue(binding);
        for (const text of messagesOf(data)) {
          await queue.createIfNotExists();
          await queue.sendMessage(encodeMessage(text, encoding));
          onWritten(binding.queueName);
        }
      }
    },
  };
}

/** A list is one message for each entry; objects are written as the platform does, indented. */
export function messagesOf(data: RpcData): string[] {
  if (data.string !== undefined) return [data.string];
  if (data.bytes !== undefined) return [Buffer.from(data.bytes).toString('utf8')];
  if (data.json === undefined) return [String(data.int ?? data.double ?? '')];
  const value: unknown = JSON.parse(data.json);
  return (Array.isArray(value) ? value : [value]).map((entry) =>
    typeof entry === 'string' ? entry : JSON.stringify(entry, null, 2),
  );
}
