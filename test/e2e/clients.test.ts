import { createHash } from 'node:crypto';
import { afterAll, beforeAll } from 'vitest';
import { testAiChatProtocol } from './clients/ai-chat-protocol.ts';
import { testAiSdkUi } from './clients/ai-sdk-ui.ts';
import { testAiSdk } from './clients/ai-sdk.ts';
import { testAzureOpenAi } from './clients/azure-openai.ts';
import type { ClientEnvironment } from './clients/client-environment.ts';
import { testDotnet } from './clients/dotnet.ts';
import { testExamples } from './clients/examples.ts';
import { testLangchain } from './clients/langchain.ts';
import { testOpenAi } from './clients/openai.ts';
import { testOpenAiAgents } from './clients/openai-agents.ts';
import { testResponses } from './clients/responses.ts';
import { startEnvironment, type TestEnvironment } from './support/start-environment.ts';

const FUNCTION_KEY = 'function-key-of-the-clients';
const CALLER_KEY = 'caller-key-of-the-clients-0123456789';
const LIMITED_KEY = 'caller-key-that-reaches-its-limit-0123';

let environment: TestEnvironment;
beforeAll(async () => {
  environment = await startEnvironment({
    enableAuth: true,
    keys: { master: 'the-master-key', host: { default: FUNCTION_KEY } },
    settings: {
      CALLER_KEYS: JSON.stringify({
        clients: createHash('sha256').update(CALLER_KEY).digest('hex'),
        limited: createHash('sha256').update(LIMITED_KEY).digest('hex'),
      }),
      // Above what all clients send in a minute, and soon reached by a test that means to.
      AGENT__LIMITS__REQUESTS_PER_MINUTE: '1000',
      AGENT__TOOLS__ENABLED: '["current_time"]',
    },
  });
});
afterAll(() => environment.stop());

function service(): ClientEnvironment {
  return {
    baseURL: `${environment.url}/v1`,
    apiKey: CALLER_KEY,
    limitedKey: LIMITED_KEY,
    storage: environment.connectionString,
    headers: { 'x-functions-key': FUNCTION_KEY },
  };
}

// Unmodified clients, each as its documentation shows it, with the keys of a deployment.
testOpenAi(service);
testOpenAiAgents(service);
testResponses(service);
testAiSdk(service);
testAiSdkUi(service);
testAiChatProtocol(service);
testLangchain(service);
testAzureOpenAi(service);
testDotnet(service);
testExamples(service);
