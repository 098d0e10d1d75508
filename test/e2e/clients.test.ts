import { afterAll, beforeAll } from 'vitest';
import { testAiSdk } from './clients/ai-sdk.ts';
import { testLangchain } from './clients/langchain.ts';
import { testOpenAi } from './clients/openai.ts';
import { testOpenAiAgents } from './clients/openai-agents.ts';
import { startEnvironment, type TestEnvironment } from './support/start-environment.ts';

let environment: TestEnvironment;
beforeAll(async () => {
  environment = await startEnvironment();
});
afterAll(() => environment.stop());

// Unmodified clients, each as its documentation shows it.
testOpenAi(() => environment);
testOpenAiAgents(() => environment);
testAiSdk(() => environment);
testLangchain(() => environment);
