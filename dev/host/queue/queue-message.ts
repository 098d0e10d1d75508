import type { DequeuedMessageItem } from '@azure/storage-queue';
import type { QueueConfig } from '../host-config.ts';
import { mergeObject } from '../merge-metadata.ts';
import type { RpcData } from '../worker/messages.ts';

type Encoding = QueueConfig['messageEncoding'];

const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

/** The text of a message; undefined when it is not written in the encoding of host.json. */
export function decodeMessage(text: string, encoding: Encoding): string | undefined {
  if (encoding === 'none') return text;
  const compact = text.replace(/\s/g, '');
  return BASE64.test(compact) ? Buffer.from(compact, 'base64').toString('utf8') : undefined;
}

/** A text as it goes into a queue. */
export function encodeMessage(text: string, encoding: Encoding): string {
  return encoding === 'none' ? text : Buffer.from(text, 'utf8').toString('base64');
}

/** The trigger metadata of a message; properties of a message that is a JSON object replace it. */
export function buildQueueMetadata(
  message: DequeuedMessageItem,
  text: string,
): Record<string, RpcData> {
  const metadata: Record<string, RpcData> = {
    QueueTrigger: { string: text },
    DequeueCount: { int: message.dequeueCount },
    ExpirationTime: timeOf(message.expiresOn),
    Id: { string: message.messageId },
    InsertionTime: timeOf(message.insertedOn),
    NextVisibleTime: timeOf(message.nextVisibleOn),
    PopReceipt: { string: message.popReceipt },
  };
  const names = new Map(Object.keys(metadata).map((name) => [name.toLowerCase(), name]));
  mergeObject(metadata, { names, text });
  return metadata;
}

/** Whole seconds with an offset, as the platform writes times. */
function timeOf(date: Date): RpcData {
  return { json: JSON.stringify(date.toISOString().replace(/\.\d+Z$/, '+00:00')) };
}
