import { aiChatProtocol, aiChatProtocolStream } from './ai-chat-protocol.ts';
import { aiSdkUiStream } from './ai-sdk-ui-stream.ts';
import { chatApi } from './chat-api.ts';
import { mcpAsk } from './mcp.ts';
import { openAiChatCompletions } from './openai-chat-completions.ts';
import { openAiResponses } from './openai-responses.ts';
import type { Protocol } from './protocol.ts';

/** A new protocol is one file, one line here, and one trigger. */
const PROTOCOLS = {
  chat: chatApi,
  'openai.chat-completions': openAiChatCompletions,
  'openai.responses': openAiResponses,
  mcp: mcpAsk,
  'ai-sdk': aiSdkUiStream,
  'ai-chat-protocol': aiChatProtocol,
  'ai-chat-protocol.stream': aiChatProtocolStream,
} as const;

export type ProtocolId = keyof typeof PROTOCOLS;

export function protocolById(id: ProtocolId): Protocol<unknown> {
  return PROTOCOLS[id];
}

/** The protocols of POST /api/chat, the first that recognizes a body reads it. */
const OF_CHAT: readonly Protocol<unknown>[] = [chatApi, aiSdkUiStream, aiChatProtocol];

/** The protocol of a body of POST /api/chat, by its shape: three kinds of clients call this route. */
export function protocolOfChatBody(body: unknown): Protocol<unknown> {
  return OF_CHAT.find((protocol) => protocol.recognizes(body)) ?? chatApi;
}

/** The values that `url` of a batch item and `endpoint` of a batch may have. */
export const BATCH_URLS: readonly string[] = Object.values(PROTOCOLS).flatMap(
  ({ batchUrl }: { readonly batchUrl?: string }) => batchUrl ?? [],
);

/**
 * The protocol of a batch item by the shape of its body: an item may leave out its `url`. The chat
 * protocol is the fallback, so that a body of no known shape fails with the name of a field.
 */
export function protocolOfBody(body: unknown): Protocol<unknown> {
  return Object.values(PROTOCOLS).find((protocol) => protocol.recognizes(body)) ?? chatApi;
}

/**
 * The protocol of a stored run.
 * @throws TypeError if runs of this protocol cannot be stored
 */
export function storedProtocol(
  id: string,
): Protocol<unknown> & Required<Pick<Protocol<unknown>, 'storage'>> {
  const protocol: Protocol<unknown> | undefined = Object.values(PROTOCOLS).find(
    (one) => one.id === id,
  );
  if (protocol?.storage === undefined) throw new TypeError('Cannot find the protocol of a run');
  return { ...protocol, storage: protocol.storage };
}
