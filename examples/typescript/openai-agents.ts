// The Agents SDK of OpenAI. Usage: node examples/typescript/openai-agents.ts
import { Agent, OpenAIProvider, Runner, tool } from '@openai/agents';
import OpenAI, { APIError } from 'openai';
import * as z from 'zod';
import { address, callerKey, headers, weatherOf } from './connection.ts';

const openAIClient = new OpenAI({
  baseURL: `${address}/v1`,
  apiKey: callerKey,
  defaultHeaders: headers,
});
const runner = new Runner({
  modelProvider: new OpenAIProvider({ openAIClient }),
  // Otherwise traces go to OpenAI.
  tracingDisabled: true,
});
const agent = new Agent({
  name: 'Assistant',
  model: 'agent',
  tools: [
    tool({
      name: 'get_weather',
      description: 'The weather of a city',
      parameters: z.object({ city: z.string() }),
      execute: ({ city }) => weatherOf(city),
    }),
  ],
});

const first = await runner.run(agent, 'Hello there');
console.log(`answer: ${first.finalOutput}`);

process.stdout.write('stream: ');
const streamed = await runner.run(agent, 'Hello there', { stream: true });
for await (const piece of streamed.toTextStream()) process.stdout.write(piece);
console.log();

const withTools = await runner.run(agent, 'What is the weather? get_weather {"city":"Bonn"}');
console.log(`tools: ${withTools.finalOutput}`);

const history = [...withTools.history, { role: 'user' as const, content: 'And now?' }];
console.log(`second turn: ${(await runner.run(agent, history)).finalOutput}`);

try {
  await runner.run(agent, ' ');
} catch (error) {
  if (!(error instanceof APIError)) throw error;
  console.log(`error: ${error.status} ${error.code}`);
}
