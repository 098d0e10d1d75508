import { createOpenAI } from '@ai-sdk/openai';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import {
  APICallError,
  generateObject,
  generateText,
  type LanguageModel,
  Output,
  stepCountIs,
  streamText,
  tool,
} from 'ai';
import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import type { ClientEnvironment } from './client-environment.ts';
import { testTypedErrors } from './typed-errors.ts';

/** The AI SDK with both of its providers that speak chat completions. */
export function testAiSdk(service: () => ClientEnvironment): void {
  const providers: Record<string, (options: ClientEnvironment) => LanguageModel> = {
    '@ai-sdk/openai': (options) => createOpenAI(options).chat('any'),
    '@ai-sdk/openai-compatible': (options) =>
      createOpenAICompatible({
        name: 'agent',
        ...options,
        includeUsage: true,
        supportsStructuredOutputs: true,
      }).chatModel('any'),
  };

  describe.each(Object.keys(providers))('ai with %s', (name) => {
    const model = (apiKey = service().apiKey): LanguageModel => {
      const create = providers[name];
      if (create === undefined) throw new Error(`There is no provider ${name}`);
      return create({ ...service(), apiKey });
    };

    it('answer: has a text, its usage and a finish reason', async () => {
      const result = await generateText({ model: model(), prompt: 'Hello there' });

      expect(result.text).toContain('Hello there');
      expect(result.finishReason).toBe('stop');
      expect(result.usage.totalTokens).toBeGreaterThan(0);
    });

    it('stream: has the text in pieces, and its usage', async () => {
      const result = streamText({ model: model(), prompt: 'Hello there' });

      const pieces = await Array.fromAsync(result.textStream);

      expect(pieces.length).toBeGreaterThan(3);
      expect(pieces.join('')).toContain('Hello there');
      expect((await result.usage).totalTokens).toBeGreaterThan(0);
    });

    it.each(['generateText', 'streamText'])('tools: run, and %s continues', async (call) => {
      const cities: string[] = [];
      const options = {
        model: model(),
        prompt: 'get_weather {"city":"Bonn"} and get_weather {"city":"Ulm"}',
        stopWhen: stepCountIs(3),
        tools: { get_weather: createWeather(cities) },
      };

      const text = await (call === 'streamText'
        ? streamText(options).text
        : generateText(options).then((result) => result.text));

      expect(cities).toEqual(['Bonn', 'Ulm']);
      expect(text).toContain('sunny in Bonn');
    });

    it('second turn: continues from the messages of the first', async () => {
      const options = { model: model(), tools: { get_weather: createWeather([]) } };
      const prompt = 'get_weather {"city":"Bonn"}';
      const first = await generateText({ ...options, prompt, stopWhen: stepCountIs(2) });

      const second = await generateText({
        ...options,
        messages: [
          { role: 'user', content: prompt },
          ...first.response.messages,
          { role: 'user', content: 'And now?' },
        ],
      });

      expect(second.text).toContain('And now?');
    });

    it('structured output: is an object of the schema', async () => {
      const schema = z.object({ name: z.string(), attendees: z.array(z.string()) });

      const result = await generateObject({
        model: model(),
        schema,
        prompt: 'dev/wrong-json An event',
      });

      expect(result.object.attendees).toEqual([]);
    });

    it('structured output: is an output of a stream', async () => {
      const schema = z.object({ name: z.string(), attendees: z.array(z.string()) });
      const output = Output.object({ schema });

      const result = streamText({ model: model(), output, prompt: 'An event' });
      const partial = await Array.fromAsync(result.partialOutputStream);

      expect(schema.safeParse(await result.output).success).toBe(true);
      expect(partial.length).toBeGreaterThan(0);
    });

    testTypedErrors({
      service,
      open: (apiKey) => ({
        ask: (prompt) => generateText({ model: model(apiKey), prompt, maxRetries: 0 }),
        stream: (prompt) => readStream(model(apiKey), prompt),
      }),
    });

    it('errors: name the field that the model does not support', async () => {
      const prompt = 'dev/without-stop Hi';

      const running = generateText({
        model: model(),
        prompt,
        stopSequences: ['END'],
        maxRetries: 0,
      });

      const error = await running.catch((thrown: unknown) => thrown);
      expect(APICallError.isInstance(error) && error.statusCode).toBe(400);
      expect(error).toMatchObject({
        isRetryable: false,
        message: expect.stringContaining('"stop"'),
      });
    });
  });
}

/** The parts of a stream; throws at the one that is an error. */
export async function readStream(model: LanguageModel, prompt: string): Promise<readonly string[]> {
  const pieces: string[] = [];
  const { fullStream } = streamText({ model, prompt, maxRetries: 0, onError: () => undefined });
  for await (const part of fullStream) {
    if (part.type === 'error') throw part.error;
    if (part.type === 'text-delta') pieces.push(part.text);
  }
  return pieces;
}

function createWeather(cities: string[]) {
  return tool({
    description: 'The weather of a city',
    inputSchema: z.object({ city: z.string() }),
    execute({ city }) {
      cities.push(city);
      return `sunny in ${city}`;
    },
  });
}
