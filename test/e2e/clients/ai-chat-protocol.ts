import { AIChatProtocolClient } from '@microsoft/ai-chat-protocol';
import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import type { ClientEnvironment } from './client-environment.ts';
import { testTypedErrors } from './typed-errors.ts';

const storedSchema = z.object({
  messages: z.array(z.object({ role: z.string(), content: z.string().nullable() })),
});

/** The client of Microsoft's AI Chat Protocol, for its two routes. */
export function testAiChatProtocol(service: () => ClientEnvironment): void {
  function createClient(key = service().apiKey): AIChatProtocolClient {
    const { baseURL, headers } = service();
    const client = new AIChatProtocolClient(baseURL.replace(/\/v1$/, '/api/chat'), {
      retryOptions: { maxRetries: 0 },
      allowInsecureConnection: true,
      additionalPolicies: [
        {
          position: 'perCall',
          policy: {
            name: 'keys',
            sendRequest(request, next) {
              for (const [name, value] of Object.entries(headers)) request.headers.set(name, value);
              request.headers.set('x-api-key', key);
              return next(request);
            },
          },
        },
      ],
    });
    return client;
  }

  async function storedQuestions(id: string): Promise<readonly (string | null)[]> {
    const { baseURL, apiKey, headers } = service();
    const response = await fetch(`${baseURL.replace(/\/v1$/, '')}/api/sessions/${id}`, {
      headers: { ...headers, 'x-api-key': apiKey },
    });
    const { messages } = storedSchema.parse(await response.json());
    return messages.filter(({ role }) => role === 'user').map(({ content }) => content);
  }

  describe('@microsoft/ai-chat-protocol', () => {
    it('answer: has a message, and the session state comes back', async () => {
      const result = await createClient().getCompletion(
        [
          { role: 'system', content: 'Be short' },
          { role: 'user', content: 'Hello there' },
        ],
        { sessionState: { cart: 7 }, context: { page: 'home' } },
      );

      expect(result.message).toEqual({
        role: 'assistant',
        content: expect.stringContaining('Hello there'),
      });
      expect(result.sessionState).toEqual({ cart: 7 });
    });

    it('stream: has the text in pieces, and the last one is not lost', async () => {
      const whole = await createClient().getCompletion([{ role: 'user', content: 'Hello there' }]);
      const stream = await createClient().getStreamedCompletion([
        { role: 'user', content: 'Hello there' },
      ]);

      const pieces = await Array.fromAsync(stream, ({ delta }) => delta.content ?? '');

      expect(pieces.filter((piece) => piece !== '').length).toBeGreaterThan(3);
      expect(pieces.join('')).toBe(whole.message.content);
    });

    it('sessions: the state of the first answer continues it, with all messages or the last', async () => {
      const client = createClient();
      const one = { role: 'user' as const, content: 'One' };
      const two = { role: 'user' as const, content: 'Two' };
      const { message, sessionState } = await client.getCompletion([one]);

      const whole = await client.getCompletion([one, message, two], { sessionState });
      const stream = await client.getStreamedCompletion([{ role: 'user', content: 'Three' }], {
        sessionState,
      });
      const deltas = await Array.fromAsync(stream);

      expect(sessionState).toMatch(/^sess_/);
      expect(whole.sessionState).toBe(sessionState);
      expect(deltas[0]?.sessionState).toBe(sessionState);
      expect(await storedQuestions(String(sessionState))).toEqual(['One', 'Two', 'Three']);
    });

    it('second turn: the question goes with the whole conversation', async () => {
      const first = await createClient().getCompletion([{ role: 'user', content: 'One' }]);

      const second = await createClient().getCompletion([
        { role: 'user', content: 'One' },
        first.message,
        { role: 'user', content: 'Two' },
      ]);

      expect(second.message.content).toContain('Two');
    });

    it('tools: those of the agent are named in the context of the answer', async () => {
      const content = 'current_time {"time_zone":"Europe/Berlin"}';

      const result = await createClient().getCompletion([{ role: 'user', content }]);

      expect(result.context).toMatchObject({ toolCalls: [{ name: 'current_time', status: 'ok' }] });
    });

    testTypedErrors({
      service,
      open: (apiKey) => {
        const messages = (content: string) => [{ role: 'user' as const, content }];
        const client = createClient(apiKey);
        return {
          ask: (text) => client.getCompletion(messages(text)),
          stream: async (text) =>
            Array.fromAsync(await client.getStreamedCompletion(messages(text))),
        };
      },
      hasStatus: false,
    });

    it('errors: name the field that is refused', async () => {
      await expect(createClient().getCompletion([])).rejects.toMatchObject({
        code: 'invalid_request',
        message: expect.stringContaining('"messages"'),
      });
    });
  });
}
