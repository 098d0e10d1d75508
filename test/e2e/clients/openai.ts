import OpenAI, { BadRequestError } from 'openai';
import { zodFunction, zodResponseFormat } from 'openai/helpers/zod';
import { beforeAll, describe, expect, it } from 'vitest';
import * as z from 'zod';
import type { ClientEnvironment } from './client-environment.ts';
import { type FailingClient, testTypedErrors } from './typed-errors.ts';

export function testOpenAi(service: () => ClientEnvironment): void {
  let client: OpenAI;

  describe('openai', () => {
    beforeAll(() => {
      const { baseURL, apiKey, headers } = service();
      client = new OpenAI({ baseURL, apiKey, defaultHeaders: headers, maxRetries: 0 });
    });

    it('answer: has a text, its usage and the id of the request', async () => {
      const completion = await client.chat.completions.create(ask('Hello there'));

      expect(completion.object).toBe('chat.completion');
      expect(completion.choices[0]?.finish_reason).toBe('stop');
      expect(completion.choices[0]?.message.content).toContain('Hello there');
      expect(completion.usage?.total_tokens).toBeGreaterThan(0);
      expect(completion.id).toBe(`chatcmpl-${completion._request_id}`);
    });

    it('stream: is read to its end, with the usage that it asked for', async () => {
      const stream = await client.chat.completions.create({
        ...ask('Hello there'),
        stream: true,
        stream_options: { include_usage: true },
      });

      const chunks = await Array.fromAsync(stream);

      const text = chunks.map((chunk) => chunk.choices[0]?.delta.content ?? '').join('');
      expect(text).toContain('Hello there');
      expect(chunks.at(0)?.choices[0]?.delta.role).toBe('assistant');
      expect(chunks.at(-2)?.choices[0]?.finish_reason).toBe('stop');
      expect(chunks.at(-1)?.usage?.total_tokens).toBeGreaterThan(0);
      expect(new Set(chunks.map(({ id }) => id)).size).toBe(1);
    });

    it.each([false, true])(
      'tools, second turn: are run by runTools, streamed: %s',
      async (stream) => {
        const cities: string[] = [];
        const weather = zodFunction({
          name: 'get_weather',
          description: 'The weather of a city',
          parameters: z.object({ city: z.string() }),
          function({ city }) {
            cities.push(city);
            return `sunny in ${city}`;
          },
        });
        const options = {
          ...ask('get_weather {"city":"Bonn"} get_weather {"city":"Ulm"}'),
          tools: [weather],
        };
        const runner = stream
          ? client.chat.completions.runTools({ ...options, stream })
          : client.chat.completions.runTools({ ...options, stream });

        const content = await runner.finalContent();
        const again = await client.chat.completions.create({
          model: 'any',
          messages: [...runner.messages, { role: 'user', content: 'And now?' }],
        });

        expect(cities).toEqual(['Bonn', 'Ulm']);
        expect(content).toContain('The tool answered: sunny in Bonn | sunny in Ulm');
        expect(again.choices[0]?.message.content).toContain('And now?');
      },
    );

    it('structured output: is parsed', async () => {
      const Event = z.object({ name: z.string(), attendees: z.array(z.string()) });

      const completion = await client.chat.completions.parse({
        ...ask('An event'),
        response_format: zodResponseFormat(Event, 'event'),
      });

      expect(Event.safeParse(completion.choices[0]?.message.parsed).success).toBe(true);
    });

    testTypedErrors({ service, open: (apiKey) => openClient({ ...service(), apiKey }) });

    it('errors: name the field that is refused', async () => {
      const asking = client.chat.completions.create({ ...ask('Hi'), n: 2 });

      await expect(asking).rejects.toThrow(BadRequestError);
      await expect(asking).rejects.toMatchObject({ code: 'invalid_request', param: 'n' });
    });

    it('models: are one, the agent', async () => {
      const models = await client.models.list();

      expect(models.data.map(({ id, object }) => [id, object])).toEqual([['agent', 'model']]);
    });
  });
}

function openClient({ baseURL, apiKey, headers }: ClientEnvironment): FailingClient {
  const client = new OpenAI({ baseURL, apiKey, defaultHeaders: headers, maxRetries: 0 });
  return {
    ask: (text) => client.chat.completions.create(ask(text)),
    stream: async (text) =>
      Array.fromAsync(await client.chat.completions.create({ ...ask(text), stream: true })),
  };
}

function ask(content: string) {
  return { model: 'any', messages: [{ role: 'user' as const, content }] };
}
