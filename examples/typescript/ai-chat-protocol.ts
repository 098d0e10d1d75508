// The client of Microsoft's AI Chat Protocol. Usage: node examples/typescript/ai-chat-protocol.ts
import { type AIChatMessage, AIChatProtocolClient } from '@microsoft/ai-chat-protocol';
import { address, callerKey, headers } from './connection.ts';

const client = new AIChatProtocolClient(`${address}/api/chat`, {
  allowInsecureConnection: address.startsWith('http://'),
  additionalPolicies: [
    {
      position: 'perCall',
      policy: {
        name: 'keys',
        sendRequest(request, next) {
          request.headers.set('x-functions-key', headers['x-functions-key']);
          request.headers.set('x-api-key', callerKey);
          return next(request);
        },
      },
    },
  ],
});

const question: AIChatMessage = { role: 'user', content: 'Hello there' };
const first = await client.getCompletion([question]);
console.log(`answer: ${first.message.content}`);

process.stdout.write('stream: ');
for await (const { delta } of await client.getStreamedCompletion([question])) {
  process.stdout.write(delta.content ?? '');
}
console.log();

const messages: AIChatMessage[] = [question, first.message, { role: 'user', content: 'And now?' }];
const second = await client.getCompletion(messages, { sessionState: first.sessionState });
console.log(`second turn: ${second.message.content}`);

try {
  await client.getCompletion([]);
} catch (error) {
  const { code } = error as { readonly code?: string };
  console.log(`error: ${code}`);
}
