import { createOpenAI } from '@ai-sdk/openai';
import { Agent, handoff, OpenAIProvider, Runner, tool as agentTool } from '@openai/agents';
import { generateText, Output, stepCountIs, streamText, tool } from 'ai';
import OpenAI from 'openai';
import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import { readStream } from './ai-sdk.ts';
import type { ClientEnvironment } from './client-environment.ts';
import { testTypedErrors } from './typed-errors.ts';

/** The clients that speak the Responses API by default, with nothing set but the address and keys. */
export function testResponses(service: () => ClientEnvironment): void {
  testAgents(service);
  testAiSdk(service);
}

function clientOf({ baseURL, apiKey, headers: defaultHeaders }: ClientEnvironment): OpenAI {
  return new OpenAI({ baseURL, apiKey, defaultHeaders, maxRetries: 0 });
}

function testAgents(service: () => ClientEnvironment): void {
  const cities: string[] = [];
  const weather = agentTool({
    name: 'get_weather',
    description: 'The weather of a city',
    parameters: z.object({ city: z.string() }),
    execute({ city }) {
      cities.push(city);
      return `sunny in ${city}`;
    },
  });
  const agent = new Agent({ name: 'Assistant', model: 'any', tools: [weather] });

  function createRunner(apiKey = service().apiKey): Runner {
    const openAIClient = clientOf({ ...service(), apiKey });
    const modelProvider = new OpenAIProvider({ openAIClient });
    return new Runner({ modelProvider, tracingDisabled: true });
  }

  async function run(input: Parameters<Runner['run']>[1], options: RunOptions = {}) {
    const { stream = false, from = agent, apiKey, ...rest } = options;
    const runner = createRunner(apiKey);
    if (!stream) return runner.run(from, input, rest);
    const result = await runner.run(from, input, { ...rest, stream: true });
    await result.completed;
    return result;
  }

  describe('@openai/agents by the Responses API', () => {
    it('answer, stream: have the text, whole and in pieces', async () => {
      const answer = await run('Hello there');
      const streamed = await createRunner().run(agent, 'Hello there', { stream: true });
      const pieces = await Array.fromAsync(streamed.toTextStream());

      expect(answer.finalOutput).toContain('Hello there');
      expect(pieces.length).toBeGreaterThan(3);
      expect(pieces.join('')).toBe(answer.finalOutput);
    });

    it('structured output: is parsed', async () => {
      const outputType = z.object({ name: z.string(), attendees: z.array(z.string()) });
      const from = new Agent({ name: 'Planner', model: 'any', outputType });

      const result = await createRunner().run(from, 'An event');

      expect(outputType.safeParse(result.finalOutput).success).toBe(true);
    });

    testTypedErrors({
      service,
      open: (apiKey) => ({
        ask: (text) => run(text, { apiKey }),
        stream: (text) => run(text, { apiKey, stream: true }),
      }),
      brokenStream: { message: expect.stringContaining('"response.failed"') },
    });

    it.each([false, true])('tools, second turn: run and continue, streamed: %s', async (stream) => {
      cities.length = 0;

      const first = await run('get_weather {"city":"Bonn"} and get_weather {"city":"Ulm"}', {
        stream,
      });
      const again = [...first.history, { role: 'user' as const, content: 'And now?' }];
      const second = await run(again, { stream });

      expect(cities).toEqual(['Bonn', 'Ulm']);
      expect(first.finalOutput).toContain('sunny in Bonn | sunny in Ulm');
      expect(second.finalOutput).toContain('And now?');
    });

    it.each([false, true])('handoff: gives the run to another, streamed: %s', async (stream) => {
      const billing = new Agent({ name: 'Billing', model: 'any', tools: [weather] });
      const from = new Agent({ name: 'Triage', model: 'any', handoffs: [handoff(billing)] });

      const result = await run('transfer_to_Billing please', { stream, from });

      expect(result.lastAgent?.name).toBe('Billing');
      expect(result.finalOutput).toContain('{"assistant":"Billing"}');
    });

    it('previousResponseId: sends new items only, and the service knows the rest', async () => {
      const first = await run('get_weather {"city":"Kiel"}');
      const previousResponseId = first.lastResponseId;

      const second = await run('And now?', previousResponseId ? { previousResponseId } : {});

      expect(first.finalOutput).toContain('sunny in Kiel');
      expect(second.finalOutput).toContain('And now?');
    });

    it('conversationId: keeps each turn in the conversation', async () => {
      const client = clientOf(service());
      const { id: conversationId } = await client.conversations.create({});

      await run('get_weather {"city":"Trier"}', { conversationId });
      const second = await run('And now?', { conversationId, stream: true });
      const items = await client.conversations.items.list(conversationId, { order: 'asc' });

      expect(second.finalOutput).toContain('And now?');
      expect(items.data.map(({ type }) => type)).toEqual([
        'message',
        'function_call',
        'function_call_output',
        'message',
        'message',
        'message',
      ]);
    });
  });
}

interface RunOptions {
  readonly stream?: boolean;
  readonly apiKey?: string;
  readonly from?: Agent;
  readonly previousResponseId?: string;
  readonly conversationId?: string;
}

function testAiSdk(service: () => ClientEnvironment): void {
  const model = (apiKey = service().apiKey) => createOpenAI({ ...service(), apiKey })('any');
  const weather = tool({
    description: 'The weather of a city',
    inputSchema: z.object({ city: z.string() }),
    execute: ({ city }) => `sunny in ${city}`,
  });
  const tools = { get_weather: weather };

  describe('ai with openai() by the Responses API', () => {
    it('answer, stream: have the text, whole and in pieces', async () => {
      const { text } = await generateText({ model: model(), prompt: 'Hello there' });
      const pieces = await readStream(model(), 'Hello there');

      expect(text).toContain('Hello there');
      expect(pieces.length).toBeGreaterThan(3);
      expect(pieces.join('')).toBe(text);
    });

    testTypedErrors({
      service,
      open: (apiKey) => ({
        ask: (prompt) => generateText({ model: model(apiKey), prompt, maxRetries: 0 }),
        stream: (prompt) => readStream(model(apiKey), prompt),
      }),
    });

    it.each(['generateText', 'streamText'])('tools: run, and %s continues', async (call) => {
      const prompt = 'get_weather {"city":"Bonn"}';
      const options = { model: model(), prompt, tools, stopWhen: stepCountIs(3) };

      const text = await (call === 'streamText'
        ? streamText(options).text
        : generateText(options).then((result) => result.text));

      expect(text).toContain('sunny in Bonn');
    });

    it('second turn: refers to the items of the first', async () => {
      const prompt = 'get_weather {"city":"Bonn"}';
      const options = { model: model(), tools, stopWhen: stepCountIs(2) };
      const first = await generateText({ ...options, prompt });

      const second = await generateText({
        ...options,
        system: 'Be brief',
        messages: [
          { role: 'user', content: prompt },
          ...first.response.messages,
          { role: 'user', content: 'And now?' },
        ],
      });

      expect(second.text).toContain('And now?');
      expect(second.finishReason).toBe('stop');
    });

    it('structured output: is an output of a stream', async () => {
      const schema = z.object({ name: z.string(), attendees: z.array(z.string()) });

      const result = streamText({
        model: model(),
        output: Output.object({ schema }),
        prompt: 'An event',
      });

      expect(schema.safeParse(await result.output).success).toBe(true);
      expect((await result.usage).totalTokens).toBeGreaterThan(0);
    });
  });
}
