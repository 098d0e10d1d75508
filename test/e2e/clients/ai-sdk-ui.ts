import { DefaultChatTransport, readUIMessageStream, type UIMessage, type UIMessageChunk } from 'ai';
import { describe, expect, it } from 'vitest';
import type { ClientEnvironment } from './client-environment.ts';
import { testTypedErrors } from './typed-errors.ts';

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

    it('tools: those of the agent are parts of the message', async () => {
      const stream = await send([question('current_time {"time_zone":"Europe/Berlin"}')]);

      const message = await read(stream);

      expect(message?.parts).toContainEqual(
        expect.objectContaining({
          type: 'dynamic-tool',
          toolName: 'current_time',
          state: 'output-available',
        }),
      );
    });

    testTypedErrors({
      service,
      open: (apiKey) => {
        const ask = async (text: string) => {
          const stream = await send([question(text)], createTransport(apiKey));
          const chunks = await Array.fromAsync(stream);
          // A hook has this text in its error.
          for (const chunk of chunks) if (chunk.type === 'error') throw new Error(chunk.errorText);
        };
        return { ask, stream: ask };
      },
      brokenStream: { message: 'The model stopped in the middle of an answer' },
    });

    it('resume: there is nothing to resume after the end', async () => {
      const resumed = await createTransport().reconnectToStream({ chatId: 'chat-1' });

      expect(resumed).toBeNull();
    });
  });
}
