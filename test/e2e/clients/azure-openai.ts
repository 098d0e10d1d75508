import { createAzure } from '@ai-sdk/azure';
import { HumanMessage } from '@langchain/core/messages';
import { tool as langchainTool } from '@langchain/core/tools';
import { AzureChatOpenAI } from '@langchain/openai';
import { generateObject, generateText, stepCountIs, tool } from 'ai';
import OpenAI, { AzureOpenAI } from 'openai';
import { zodFunction, zodResponseFormat } from 'openai/helpers/zod';
import { describe, expect, it } from 'vitest';
import * as z from 'zod';
import { readStream } from './ai-sdk.ts';
import type { ClientEnvironment } from './client-environment.ts';
import { testTypedErrors } from './typed-errors.ts';

/** What a test does with each client, in the words of that client. */
interface AzureClient {
  readonly ask: (text: string) => Promise<string>;
  readonly stream: (text: string) => Promise<readonly string[]>;
  /** Asks, and then asks the second question with the first one and its answer. */
  readonly continue: (first: string, second: string) => Promise<string>;
  /** An answer of the schema of a meeting. */
  readonly plan: (text: string) => Promise<unknown>;
  /** Runs the tool for each call of the model, sends the results, and returns the answer. */
  readonly runTools: (text: string, cities: string[]) => Promise<string>;
}

interface Connection {
  /** The address of the app, without a path. */
  readonly origin: string;
  readonly apiKey: string;
  readonly headers: Record<string, string>;
}

const API_VERSION = '2025-04-01-preview';
const DEPLOYMENT = 'agent';
const MEETING = z.object({ name: z.string(), attendees: z.array(z.string()) });
const CITY = z.object({ city: z.string() });
const DESCRIPTION = 'The weather of a city';

const CLIENTS: Readonly<Record<string, (connection: Connection) => AzureClient>> = {
  'AzureOpenAI of openai': ({ origin: endpoint, apiKey, headers: defaultHeaders }) =>
    openAiClient(
      new AzureOpenAI({
        endpoint,
        apiKey,
        apiVersion: API_VERSION,
        deployment: DEPLOYMENT,
        defaultHeaders,
        maxRetries: 0,
      }),
    ),
  'OpenAI of openai at /openai/v1': ({ origin, apiKey, headers: defaultHeaders }) =>
    openAiClient(
      new OpenAI({ baseURL: `${origin}/openai/v1`, apiKey, defaultHeaders, maxRetries: 0 }),
    ),
  '@ai-sdk/azure': ({ origin, apiKey, headers }) =>
    aiSdkClient(createAzure({ baseURL: `${origin}/openai/v1`, apiKey, headers })),
  '@ai-sdk/azure with deployments': ({ origin, apiKey, headers }) =>
    aiSdkClient(
      createAzure({
        baseURL: `${origin}/openai`,
        apiKey,
        headers,
        useDeploymentBasedUrls: true,
        apiVersion: API_VERSION,
      }),
    ),
  'AzureChatOpenAI of @langchain/openai': langchainClient,
};

/** Clients of Azure OpenAI, with the address of the app in the place of their resource. */
export function testAzureOpenAi(service: () => ClientEnvironment): void {
  function connect(key?: string): Connection {
    const { baseURL, apiKey, headers } = service();
    return { origin: baseURL.replace(/\/v1$/, ''), apiKey: key ?? apiKey, headers };
  }

  describe.each(Object.entries(CLIENTS))('%s', (_name, open) => {
    it('answer, stream: have the text, whole and in pieces', async () => {
      const answer = await open(connect()).ask('Hello there');
      const pieces = await open(connect()).stream('Hello there');

      expect(answer).toContain('Hello there');
      expect(pieces.join('')).toBe(answer);
      expect(pieces.length).toBeGreaterThan(3);
    });

    it('tools: run, and the answer has their results', async () => {
      const cities: string[] = [];

      const answer = await open(connect()).runTools(
        'get_weather {"city":"Bonn"} and get_weather {"city":"Ulm"}',
        cities,
      );

      expect(cities.toSorted()).toEqual(['Bonn', 'Ulm']);
      expect(answer).toContain('sunny in Bonn | sunny in Ulm');
    });

    it('second turn: the conversation goes with the question', async () => {
      const client = open(connect());

      const answer = await client.continue('One', 'Two');

      expect(answer).toContain('Two');
    });

    it('structured output: is of the schema', async () => {
      const meeting = await open(connect()).plan('A meeting');

      expect(MEETING.safeParse(meeting).success).toBe(true);
    });

    testTypedErrors({ service, open: (apiKey) => open(connect(apiKey)) });
  });

  describe('AzureOpenAI', () => {
    it('reaches the routes that have no deployment in their address', async () => {
      const { origin: endpoint, apiKey, headers: defaultHeaders } = connect();
      const options = { endpoint, apiKey, apiVersion: API_VERSION, defaultHeaders, maxRetries: 0 };
      const client = new AzureOpenAI(options);
      const file = new File(['{}\n'], 'items.jsonl');

      const response = await client.responses.create({ model: DEPLOYMENT, input: 'Hello there' });
      const models = await client.models.list();
      const uploaded = await client.files.create({ file, purpose: 'batch' });
      const batches = await client.batches.list();
      const deleted = await client.files.delete(uploaded.id);

      expect(response.output_text).toContain('Hello there');
      expect((await client.responses.retrieve(response.id)).id).toBe(response.id);
      expect(models.data.map(({ id }) => id)).toEqual(['agent']);
      expect(batches.data).toEqual([]);
      expect(deleted).toEqual({ id: uploaded.id, object: 'file', deleted: true });
    });

    it.each([
      ['GET', 'openai/v1/nothing'],
      ['GET', 'openai/v1/chat/completions'],
      ['GET', 'openai/v1/files//content'],
      ['GET', 'openai/v1'],
      ['POST', 'openai/deployments/agent'],
      ['POST', 'openai/deployments/agent/embeddings'],
    ])('gets 404 with a code for %s /%s', async (method, path) => {
      const { origin, apiKey, headers } = connect();

      const response = await fetch(`${origin}/${path}`, {
        method,
        headers: { ...headers, 'api-key': apiKey },
      });

      expect(response.status).toBe(404);
      expect(await response.json()).toMatchObject({ error: { code: 'not_found' } });
    });

    it('is measured by the templates of its routes', async () => {
      const { origin, apiKey, headers } = connect();
      const own = { headers: { ...headers, 'api-key': apiKey } };

      await fetch(`${origin}/openai/deployments/mine/models`, own);
      await fetch(`${origin}/openai/v1/files/file-1`, own);
      const metrics = await (await fetch(`${origin}/metrics`, own)).text();

      expect(metrics).toContain('http_route="/openai/deployments/{deployment}/models"');
      expect(metrics).toContain('http_route="/openai/v1/files/{id}"');
      expect(metrics).not.toMatch(/http_route="[^"]*(?:mine|file-1)/);
    });
  });
}

function openAiClient(client: OpenAI): AzureClient {
  const bodyOf = (content: string) => ({
    model: DEPLOYMENT,
    messages: [{ role: 'user' as const, content }],
  });
  return {
    async ask(text) {
      const completion = await client.chat.completions.create(bodyOf(text));
      return completion.choices[0]?.message.content ?? '';
    },
    async stream(text) {
      const stream = await client.chat.completions.create({ ...bodyOf(text), stream: true });
      return Array.fromAsync(stream, (chunk) => chunk.choices[0]?.delta.content ?? '');
    },
    async plan(text) {
      const response_format = zodResponseFormat(MEETING, 'meeting');
      const { choices } = await client.chat.completions.parse({ ...bodyOf(text), response_format });
      return choices[0]?.message.parsed;
    },
    async continue(first, second) {
      const { messages } = bodyOf(first);
      const { choices } = await client.chat.completions.create(bodyOf(first));
      const answer = { role: 'assistant' as const, content: choices[0]?.message.content ?? '' };
      const completion = await client.chat.completions.create({
        model: DEPLOYMENT,
        messages: [...messages, answer, ...bodyOf(second).messages],
      });
      return completion.choices[0]?.message.content ?? '';
    },
    async runTools(text, cities) {
      const runner = client.chat.completions.runTools({
        ...bodyOf(text),
        tools: [
          zodFunction({
            name: 'get_weather',
            description: DESCRIPTION,
            parameters: CITY,
            function: ({ city }) => weatherOf(city, cities),
          }),
        ],
      });
      return (await runner.finalContent()) ?? '';
    },
  };
}

function aiSdkClient(azure: ReturnType<typeof createAzure>): AzureClient {
  const model = azure.chat(DEPLOYMENT);
  return {
    async ask(prompt) {
      return (await generateText({ model, prompt, maxRetries: 0 })).text;
    },
    stream: (prompt) => readStream(model, prompt),
    plan: async (prompt) => (await generateObject({ model, schema: MEETING, prompt })).object,
    async continue(first, second) {
      const { response } = await generateText({ model, prompt: first });
      const messages = [
        { role: 'user' as const, content: first },
        ...response.messages,
        { role: 'user' as const, content: second },
      ];
      return (await generateText({ model, messages })).text;
    },
    async runTools(prompt, cities) {
      const get_weather = tool({
        description: DESCRIPTION,
        inputSchema: CITY,
        execute: ({ city }) => weatherOf(city, cities),
      });
      const stopWhen = stepCountIs(3);
      return (await generateText({ model, prompt, stopWhen, tools: { get_weather } })).text;
    },
  };
}

function langchainClient({ origin, apiKey, headers: defaultHeaders }: Connection): AzureClient {
  const model = new AzureChatOpenAI({
    azureOpenAIEndpoint: origin,
    azureOpenAIApiKey: apiKey,
    azureOpenAIApiDeploymentName: DEPLOYMENT,
    azureOpenAIApiVersion: API_VERSION,
    maxRetries: 0,
    configuration: { defaultHeaders },
  });
  return {
    async ask(text) {
      return (await model.invoke(text)).text;
    },
    async stream(text) {
      return Array.fromAsync(await model.stream(text), (chunk) => chunk.text);
    },
    plan: (text) => model.withStructuredOutput(MEETING, { name: 'meeting' }).invoke(text),
    async continue(first, second) {
      const asking = new HumanMessage(first);
      const answer = await model.invoke([asking]);
      return (await model.invoke([asking, answer, new HumanMessage(second)])).text;
    },
    async runTools(text, cities) {
      const weather = langchainTool(({ city }) => weatherOf(city, cities), {
        name: 'get_weather',
        description: DESCRIPTION,
        schema: CITY,
      });
      const asking = new HumanMessage(text);
      const asked = await model.bindTools([weather]).invoke([asking]);
      const calls = asked.tool_calls ?? [];
      const results = await Promise.all(calls.map((call) => weather.invoke(call)));
      return (await model.invoke([asking, asked, ...results])).text;
    },
  };
}

function weatherOf(city: string, cities: string[]): string {
  cities.push(city);
  return `sunny in ${city}`;
}
