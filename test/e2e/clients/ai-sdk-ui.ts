import { DefaultChatTransport, readUIMessageStream, type UIMessage, type UIMessageChunk } from 'ai';
import { describe, expect, it } from 'vitest';
import type { ClientEnvironment } from './client-environment.ts';

function question(text: string): UIMessage {
  return { id: crypto.randomUUID(), role: 'user', parts: [{ type: 'text', text }] };
}

/** The transport of the hooks of the AI SDK, such as useChat. */
export function testAiSdkUi(service: () => ClientEnvironment): void {
  function createTransport(key = service().apiKey): DefaultChatTransport<UIMessage> {
    const { baseURL, headers } = service();
    return new DefaultChatTransport({
      api: baseURL.replace(/\/v1$/, '/api/chat'),
      headers: { ...headers, 'x-api-key': key },
    });
  }
  function send(messages: UIMessage[], transport = createTransport()) {
    return transport.sendMessages({
      chatId: 'chat-1',
      messages,
      trigger: 'submit-message',
      messageId: undefined,
      abortSignal: undefined,
    });
  }
  async function read(stream: ReadableStream<UIMessageChunk>): Promise<UIMessage | undefined> {
    const states = await Array.fromAsync(readUIMessageStream({ stream }));
    return states.at(-1);
  }
  const textOf = (message: UIMessage | undefined): string =>
    (message?.parts ?? []).map((part) => (part.type === 'text' ? part.text : '')).join('');

  describe('ai: the transport of useChat', () => {
    it('stream: builds a message with text in steps, its end and its usage', async () => {
      const stream = await send([question('Hello there')]);
      const [counted, shown] = stream.tee();

      const chunks = await Array.fromAsync(counted);
      const message = await read(shown);

      expect(chunks.filter(({ type }) => type === 'text-delta').length).toBeGreaterThan(3);
      expect(chunks.at(-1)).toMatchObject({ type: 'finish', finishReason: 'stop' });
      expect(message?.role).toBe('assistant');
      expect(textOf(message)).toContain('Hello there');
      expect(message?.metadata).toMatchObject({ usage: { totalTokens: expect.any(Number) } });
    });

    it('second turn: the conversation that the front end keeps is accepted again', async () => {
      const first = await read(await send([question('One')]));
      if (first === undefined) throw new Error('There is no message');

      const second = await read(await send([question('One'), first, question('Two')]));

      expect(textOf(second)).toContain('Two');
    });

    it('errors: are thrown before a stream, and are a chunk in a stream', async () => {
      const cut = await send([question('dev/cut-5 Hello there, this is a longer text')]);

      await expect(send([question('Hello')], createTransport('wrong'))).rejects.toThrow(
        /unauthorized/,
      );
      const chunks = await Array.fromAsync(cut);
      expect(chunks.at(-1)).toMatchObject({ type: 'error', errorText: expect.any(String) });
    });

    it('resume: there is nothing to resume after the end', async () => {
      const resumed = await createTransport().reconnectToStream({ chatId: 'chat-1' });

      expect(resumed).toBeNull();
    });
  });
}
