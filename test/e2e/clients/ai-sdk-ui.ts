import {
  AbstractChat,
  type ChatState,
  DefaultChatTransport,
  readUIMessageStream,
  type UIMessage,
  type UIMessageChunk,
} from 'ai';
import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import type { ClientEnvironment } from './client-environment.ts';
import { testTypedErrors } from './typed-errors.ts';

const sessionSchema = z.looseObject({ sessionId: z.string() });
const storedSchema = z.object({
  messages: z.array(z.object({ role: z.string(), content: z.string().nullable() })),
});

function question(text: string): UIMessage {
  return { id: crypto.randomUUID(), role: 'user', parts: [{ type: 'text', text }] };
}

/** What a hook keeps, without a framework. */
function openChat(
  transport: DefaultChatTransport<UIMessage>,
  id: string = crypto.randomUUID(),
  loaded: UIMessage[] = [],
): AbstractChat<UIMessage> {
  const state: ChatState<UIMessage> = {
    status: 'ready',
    error: undefined,
    messages: loaded,
    pushMessage: (message) => void (state.messages = [...state.messages, message]),
    popMessage: () => void (state.messages = state.messages.slice(0, -1)),
    replaceMessage: (index, message) => void (state.messages = state.messages.with(index, message)),
    snapshot: (value) => structuredClone(value),
  };
  return new (class extends AbstractChat<UIMessage> {})({ id, transport, state });
}

/** The transport of the hooks of the AI SDK, such as useChat. */
export function testAiSdkUi(service: () => ClientEnvironment): void {
  function createTransport(
    key = service().apiKey,
    body: object = {},
  ): DefaultChatTransport<UIMessage> {
    const { baseURL, headers } = service();
    return new DefaultChatTransport({
      body,
      api: baseURL.replace(/\/v1$/, '/api/chat'),
      headers: { ...headers, 'x-api-key': key },
    });
  }
  function send(messages: UIMessage[], transport = createTransport(), chatId = 'chat-1') {
    return transport.sendMessages({
      chatId,
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
  async function readSession(id: string) {
    const { baseURL, apiKey, headers } = service();
    const response = await fetch(`${baseURL.replace(/\/v1$/, '')}/api/sessions/${id}`, {
      headers: { ...headers, 'x-api-key': apiKey },
    });
    return storedSchema.parse(await response.json()).messages;
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

    it('second turn: the hooks ask, regenerate and go on after an error', async () => {
      const chat = openChat(createTransport());

      await chat.sendMessage({ text: 'One' });
      await chat.regenerate();
      await chat.sendMessage({ text: 'dev/cut-4 break' });
      const { status } = chat;
      await chat.sendMessage({ text: 'Two' });

      expect(status).toBe('error');
      expect(chat.status).toBe('ready');
      expect(chat.messages.map(({ role }) => role)).toEqual(
        ['One', 'break', 'Two'].flatMap(() => ['user', 'assistant']),
      );
      expect(textOf(chat.messages.at(-1))).toContain('Two');
    });

    it('resume: a chat that was loaded again has the whole answer of its active run', async () => {
      const id = crypto.randomUUID();
      const transport = createTransport(undefined, { background: true });
      const chat = openChat(transport, id);
      const sent = chat.sendMessage({ text: 'dev/slow-first-token-60000 Hello there' });
      await expect.poll(() => transport.reconnectToStream({ chatId: id })).not.toBeNull();

      const loaded = openChat(transport, id, chat.messages.slice(0, 1));
      await loaded.resumeStream();
      await sent;

      expect(textOf(loaded.messages.at(-1))).toContain('Hello there');
      expect(loaded.messages.at(-1)).toEqual(chat.messages.at(-1));
    });

    it('resume: reads the stream of an active run again, and nothing after its end', async () => {
      const chatId = `ünusual/%id? ${crypto.randomUUID()}`;
      const transport = createTransport(service().apiKey, { background: true });
      await read(await send([question('An earlier run')], transport, chatId));
      const messages = [question('dev/slow-first-token-15000 Hello there')];
      const first = await send(messages, transport, chatId);
      const start = await first.getReader().read();

      const resumed = await transport.reconnectToStream({ chatId });
      const chunks = await Array.fromAsync(resumed ?? []);
      const later = await transport.reconnectToStream({ chatId });

      expect(chunks.at(0)).toEqual(start.value);
      expect(chunks.filter(({ type }) => type === 'text-delta').length).toBeGreaterThan(0);
      expect(chunks.at(-1)).toMatchObject({ type: 'finish', finishReason: 'stop' });
      expect(later).toBeNull();
      expect(await createTransport().reconnectToStream({ chatId: 'another' })).toBeNull();
    });

    it('stop: ends the active run of a chat, which has then nothing to resume', async () => {
      const chatId = crypto.randomUUID();
      const { baseURL, apiKey, headers } = service();
      const transport = createTransport(apiKey, { background: true });
      const stop = async () =>
        (
          await fetch(`${baseURL.replace(/\/v1$/, '')}/api/chat/${chatId}/stop`, {
            method: 'POST',
            headers: { ...headers, 'x-api-key': apiKey },
          })
        ).json();
      const stream = await send([question('dev/stall-3 Hello')], transport, chatId);

      const stopped = await stop();
      const chunks = await Array.fromAsync(stream);

      expect(stopped).toEqual({ id: chatId, stopped: true });
      expect(chunks.at(-1)).toEqual({ type: 'abort' });
      expect(await transport.reconnectToStream({ chatId })).toBeNull();
      expect(await stop()).toEqual({ id: chatId, stopped: false });
    });

    it('sessions: a chat that asks for one continues it with its last message alone', async () => {
      const first = await read(
        await send([question('My name is Ada')], createTransport(undefined, { sessionId: null })),
      );
      const { sessionId } = sessionSchema.parse(first?.metadata);

      const transport = createTransport(undefined, { sessionId });
      const second = await read(await send([question('What is it?')], transport));
      const byId = await read(await send([question('And now?')], createTransport(), sessionId));
      const stored = await readSession(sessionId);

      expect(sessionSchema.parse(second?.metadata).sessionId).toBe(sessionId);
      expect(sessionSchema.parse(byId?.metadata).sessionId).toBe(sessionId);
      expect(stored.filter(({ role }) => role === 'user').map(({ content }) => content)).toEqual([
        'My name is Ada',
        'What is it?',
        'And now?',
      ]);
    });

    it('sessions: a run in the background has one too, and is in it when it ends', async () => {
      const options = { sessionId: null, background: true };
      const stream = await send([question('One')], createTransport(undefined, options));

      const message = await read(stream);

      const { sessionId } = sessionSchema.parse(message?.metadata);
      await expect
        .poll(async () => (await readSession(sessionId)).map(({ role }) => role))
        .toEqual(['user', 'assistant']);
    });
  });
}
