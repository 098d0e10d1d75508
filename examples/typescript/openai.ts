// The client of OpenAI. Usage: node examples/typescript/openai.ts
import OpenAI, { APIError } from 'openai';
import { zodFunction } from 'openai/helpers/zod';
import * as z from 'zod';
import { address, callerKey, headers, weatherOf } from './connection.ts';

const client = new OpenAI({
  baseURL: `${address}/v1`,
  apiKey: callerKey,
  defaultHeaders: headers,
});
const model = 'agent';

const completion = await client.chat.completions.create({
  model,
  messages: [{ role: 'user', content: 'Hello there' }],
});
console.log(`answer: ${completion.choices[0]?.message.content}`);

process.stdout.write('stream: ');
const stream = await client.chat.completions.create({
  model,
  messages: [{ role: 'user', content: 'Hello there' }],
  stream: true,
});
for await (const chunk of stream) process.stdout.write(chunk.choices[0]?.delta.content ?? '');
console.log();

const runner = client.chat.completions.runTools({
  model,
  messages: [{ role: 'user', content: 'What is the weather? get_weather {"city":"Bonn"}' }],
  tools: [
    zodFunction({
      name: 'get_weather',
      description: 'The weather of a city',
      parameters: z.object({ city: z.string() }),
      function: ({ city }) => weatherOf(city),
    }),
  ],
});
console.log(`tools: ${await runner.finalContent()}`);

const first = await client.responses.create({ model, input: 'My name is Ada' });
const second = await client.responses.create({
  model,
  input: 'What is my name?',
  previous_response_id: first.id,
});
console.log(`second turn: ${second.output_text}`);

try {
  await client.chat.completions.create({ model, messages: [] });
} catch (error) {
  if (!(error instanceof APIError)) throw error;
  console.log(`error: ${error.status} ${error.code}, the field ${error.param}`);
}
