import {
  type AIMessageChunk,
  type BaseMessage,
  HumanMessage,
  type ToolMessage,
} from '@langchain/core/messages';
import { tool } from '@langchain/core/tools';
import { ChatOpenAI } from '@langchain/openai';
import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import type { ClientEnvironment } from './client-environment.ts';
import { testTypedErrors } from './typed-errors.ts';

export function testLangchain(service: () => ClientEnvironment): void {
  const weather = tool(({ city }) => `sunny in ${city}`, {
    name: 'get_weather',
    description: 'The weather of a city',
    schema: z.object({ city: z.string() }),
  });
  const Meeting = z.object({ name: z.string(), attendees: z.array(z.string()) });

  function createModel(options: Partial<ConstructorParameters<typeof ChatOpenAI>[0]> = {}) {
    const { baseURL, apiKey, headers: defaultHeaders } = service();
    const configuration = { baseURL, defaultHeaders };
    return new ChatOpenAI({
      model: 'any',
      apiKey,
      maxRetries: 0,
      configuration,
      ...options,
    });
  }

  describe('@langchain/openai', () => {
    it('answer: has a text and its usage', async () => {
      const message = await createModel().invoke('Hello there');

      expect(message.text).toContain('Hello there');
      expect(tokensOf(message)).toBeGreaterThan(0);
      expect(message.response_metadata['finish_reason']).toBe('stop');
    });

    it('stream: has the text in pieces, and its usage', async () => {
      const chunks = await Array.fromAsync(await createModel().stream('Hello there'));

      expect(chunks.map(({ text }) => text).join('')).toContain('Hello there');
      expect(chunks.filter(({ text }) => text !== '').length).toBeGreaterThan(3);
      expect(chunks.some((chunk) => tokensOf(chunk) > 0)).toBe(true);
    });

    it.each([false, true])(
      'tools, second turn: are called by bindTools, streamed: %s',
      async (isStream) => {
        const model = createModel().bindTools([weather]);
        const call = async (messages: BaseMessage[]): Promise<AIMessageChunk> => {
          if (!isStream) return model.invoke(messages);
          const chunks = await Array.fromAsync(await model.stream(messages));
          return chunks.reduce((all, chunk) => all.concat(chunk));
        };
        const asking = new HumanMessage(
          'get_weather {"city":"Bonn"} and get_weather {"city":"Ulm"}',
        );

        const asked = await call([asking]);
        const calls = asked.tool_calls ?? [];
        const results: ToolMessage[] = await Promise.all(calls.map((one) => weather.invoke(one)));
        const answered = await call([asking, asked, ...results]);
        const again = await call([asking, asked, ...results, answered, new HumanMessage('Now?')]);

        expect(calls.map(({ args }) => args)).toEqual([{ city: 'Bonn' }, { city: 'Ulm' }]);
        expect(answered.text).toContain('sunny in Bonn | sunny in Ulm');
        expect(again.text).toContain('Now?');
      },
    );

    it.each(['jsonSchema', 'functionCalling', 'jsonMode'] as const)(
      'structured output: withStructuredOutput by %s',
      async (method) => {
        const schema = method === 'jsonMode' ? z.object({ youSaid: z.string() }) : Meeting;

        const meeting = await createModel()
          .withStructuredOutput(schema, { name: 'meeting', method })
          .invoke('An event as JSON');

        expect(schema.safeParse(meeting).success).toBe(true);
      },
    );

    testTypedErrors({
      service,
      open: (apiKey) => ({
        ask: (text) => createModel({ apiKey }).invoke(text),
        stream: async (text) => Array.fromAsync(await createModel({ apiKey }).stream(text)),
      }),
    });

    it('errors: name the field that the model does not support', async () => {
      const running = createModel({ topP: 0.5 }).invoke('dev/without-top_p Hi');

      await expect(running).rejects.toMatchObject({ status: 400, param: 'top_p' });
    });
  });
}

const usageSchema = z.object({ usage_metadata: z.object({ total_tokens: z.int() }) });

function tokensOf(message: AIMessageChunk): number {
  return usageSchema.safeParse(message).data?.usage_metadata.total_tokens ?? 0;
}
