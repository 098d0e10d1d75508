import { RestError } from '@azure/storage-queue';
import type { DequeuedMessageItem, QueueReceiveMessageResponse } from '@azure/storage-queue';
import type { ProcessorOptions } from './process-message.ts';

/** Fetches the next batch of a queue; nothing, when the queue is missing or out of reach. */
export type ReceiveMessages = () => Promise<readonly DequeuedMessageItem[]>;

export function createReceiver(options: ProcessorOptions, signal: AbortSignal): ReceiveMessages {
  const { config, timings, queue, func, log } = options;
  let reported = '';
  return async () => {
    try {
      const response = await queue.receiveMessages({
        numberOfMessages: config.batchSize,
        visibilityTimeout: Math.ceil(timings.messageInvisibleMs / 1_000),
      });
      reported = '';
      return withExactTexts(response);
    } catch (error) {
      const code = error instanceof RestError ? (error.code ?? error.message) : String(error);
      // Once for each trouble: a queue that is missing is looked for many times a minute.
      if (!signal.aborted && code !== reported) {
        reported = code;
        const message = `Cannot look into queue '${func.source.queueName}' (${code}): it is tried again, and not created`;
        log('warning', `Function.${func.name}`, message);
      }
      return [];
    }
  };
}

const MESSAGE_TEXT = /<MessageText>([^<]*)<\/MessageText>|<MessageText\s*\/>/g;
const REFERENCE = /&(#x[0-9a-f]+|#[0-9]+|amp|lt|gt|quot|apos);/gi;
const NAMED: Readonly<Record<string, string>> = {
  amp: '&',
  lt: '<',
  gt: '>',
  quot: '"',
  apos: "'",
};

/**
 * The client library leaves numeric references such as `&#xD;` in a text, which then looks like a
 * text that has these characters itself. So the texts are read from the response again.
 */
function withExactTexts({
  receivedMessageItems: messages,
  _response: { bodyAsText },
}: QueueReceiveMessageResponse): readonly DequeuedMessageItem[] {
  const texts = [...bodyAsText.matchAll(MESSAGE_TEXT)].map(([, text = '']) => decodeXml(text));
  if (texts.length !== messages.length) return messages;
  return messages.map((message, index) => ({
    ...message,
    messageText: texts[index] ?? message.messageText,
  }));
}

function decodeXml(text: string): string {
  return text.replaceAll(REFERENCE, (reference, name: string) => {
    const named = NAMED[name.toLowerCase()];
    if (named !== undefined) return named;
    const code = Number(name.replace(/^#x/i, '0x').replace('#', ''));
    return code <= 0x10ffff ? String.fromCodePoint(code) : reference;
  });
}
