// The client of Azure OpenAI: the address of the app stands for that of the resource.
// Usage: node examples/typescript/azure-openai.ts
import { APIError, AzureOpenAI } from 'openai';
import type { ChatCompletionMessageParam } from 'openai/resources/chat/completions';
import { address, callerKey, headers } from './connection.ts';

const client = new AzureOpenAI({
  endpoint: address,
  apiKey: callerKey,
  apiVersion: '2025-04-01-preview',
  deployment: 'agent',
  defaultHeaders: headers,
});
const model = 'agent';
const messages: ChatCompletionMessageParam[] = [{ role: 'user', content: 'Hello there' }];

const completion = await client.chat.completions.create({ model, messages });
const answer = completion.choices[0]?.message.content ?? '';
console.log(`answer: ${answer}`);

process.stdout.write('stream: ');
for await (const chunk of await client.chat.completions.create({ model, messages, stream: true })) {
  process.stdout.write(chunk.choices[0]?.delta.content ?? '');
}
console.log();

messages.push({ role: 'assistant', content: answer }, { role: 'user', content: 'And now?' });
const second = await client.chat.completions.create({ model, messages });
console.log(`second turn: ${second.choices[0]?.message.content}`);

try {
  await client.chat.completions.create({ model, messages: [] });
} catch (error) {
  if (!(error instanceof APIError)) throw error;
  console.log(`error: ${error.status} ${error.code}, the field ${error.param}`);
}
