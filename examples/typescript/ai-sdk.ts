// The AI SDK, as a model and as the transport of useChat. Usage: node examples/typescript/ai-sdk.ts
import { createOpenAI } from '@ai-sdk/openai';
import {
  APICallError,
  DefaultChatTransport,
  generateText,
  readUIMessageStream,
  stepCountIs,
  streamText,
  tool,
  type UIMessage,
} from 'ai';
import * as z from 'zod';
import { address, callerKey, headers, weatherOf } from './connection.ts';

const provider = createOpenAI({ baseURL: `${address}/v1`, apiKey: callerKey, headers });
const model = provider.chat('agent');

const { text } = await generateText({ model, prompt: 'Hello there' });
console.log(`answer: ${text}`);

process.stdout.write('stream: ');
for await (const piece of streamText({ model, prompt: 'Hello there' }).textStream) {
  process.stdout.write(piece);
}
console.log();

const withTools = await generateText({
  model,
  prompt: 'What is the weather? get_weather {"city":"Bonn"}',
  stopWhen: stepCountIs(3),
  tools: {
    get_weather: tool({
      description: 'The weather of a city',
      inputSchema: z.object({ city: z.string() }),
      execute: ({ city }) => weatherOf(city),
    }),
  },
});
console.log(`tools: ${withTools.text}`);

// What useChat does: messages with parts, and the chunks of a UI message stream.
const transport = new DefaultChatTransport<UIMessage>({
  api: `${address}/api/chat`,
  headers: { ...headers, 'x-api-key': callerKey },
});
const messages: UIMessage[] = [];
for (const question of ['Hello there', 'And now?']) {
  const parts = [{ type: 'text' as const, text: question }];
  messages.push({ id: crypto.randomUUID(), role: 'user', parts });
  const stream = await transport.sendMessages({
    chatId: 'example',
    messages,
    trigger: 'submit-message',
    messageId: undefined,
    abortSignal: undefined,
  });
  const answer = (await Array.fromAsync(readUIMessageStream({ stream }))).at(-1);
  if (answer === undefined) throw new Error('There is no answer');
  messages.push(answer);
}
const shown = messages.at(-1)?.parts.map((part) => (part.type === 'text' ? part.text : ''));
console.log(`second turn: ${shown?.join('')}`);

try {
  await generateText({ model, prompt: ' ' });
} catch (error) {
  if (!APICallError.isInstance(error)) throw error;
  console.log(`error: ${error.statusCode} ${error.message}`);
}
